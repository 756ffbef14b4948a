"""Decides what would happen to an event, without applying it."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp.web import HTTPBadRequest, HTTPServiceUnavailable

from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import Position, ProcessingTime, Rules, decide
from dedup.core.keys import key_named_in
from dedup.core.normal_event import NormalEvent
from dedup.core.times import microseconds, time_text
from dedup.rules import strategies_of
from dedup.streaming.application import DedupApp
from dedup.streaming.processor import wall_clock
from dedup.web.decision_results import check_result
from dedup.web.entity_models import models_of
from dedup.web.entity_rows import EntityRows
from dedup.web.entity_view import view_of
from dedup.web.group_queries import GroupQueries
from dedup.web.models import CheckResult
from dedup.web.other_rules import (
    RulesError,
    given_rules,
    own_text,
    rules_as_given,
    what_is_known,
)
from dedup.web.partition_router import Ask, NoAnswerError, PartitionRouter

NEXT_OFFSET: Final = 2**63 - 1
"""An offset greater than that of every event applied, so the event never counts as replayed."""


class EventChecks:
    """Decides on events by the known states, whichever worker holds them."""

    def __init__(
        self, app: DedupApp, rows: EntityRows, router: PartitionRouter, group: GroupQueries
    ) -> None:
        self._app = app
        self._rows = rows
        self._models = models_of(app.settings.entity)
        self._router = router
        self._group = group

    async def form(self, form: Mapping[str, object]) -> dict[str, Any]:
        """Return what the page shows for a form: with the result if an event was submitted."""
        event, key = str(form.get("event", "")), str(form.get("key", ""))
        is_integer = view_of(self._app.settings.entity).ids.is_integer
        key = key.strip() if is_integer or not key.strip() else key
        result, fault, given = None, None, given_rules(form)
        if event.strip():
            value = event.encode("utf-8", "surrogateescape")
            try:
                result = await self.check(value, key or None, given, local=False)
            except HTTPBadRequest as error:
                fault = error.text
        rules = self._app.deduplicator.rules
        return {
            "result": result,
            "event": event,
            "key": key,
            "fault": fault,
            "own": own_text(rules),
            "strategies": strategies_of(rules.codec.entity),
            **{name: given.get(name, "") for name in ("strategy", "window", "window_kind")},
        }

    async def check(
        self, value: bytes, key: str | None, parameters: Mapping[str, object], *, local: bool
    ) -> CheckResult:
        """Return the decision on an event, from the states of the worker that owns the row.

        Without a key, the event's id is the key. `parameters` may name another strategy and window
        than the worker's own. Raises HTTPBadRequest for one that is not accepted, and
        HTTPServiceUnavailable if the row may be owned by a worker that does not answer.
        """
        own, given = self._app.deduplicator.rules, given_rules(parameters)
        try:
            rules = rules_as_given(own, self._app.settings, given)
        except RulesError as error:
            raise HTTPBadRequest(text=str(error)) from error
        codec = own.codec
        record_key = (
            key_named_in(codec.entity, value)
            if key is None
            else key.encode("utf-8", "surrogateescape")
        )
        event = codec.read(record_key, value)
        if local or not isinstance(event, NormalEvent):
            return self._result(event, rules)
        found = await self._group.row(event.id, brief=True)
        if not found.known or found.worker in (None, self._router.this):
            result = self._result(event, rules)
        else:
            result = await self._ask(str(found.worker), value, record_key, given)
        if not found.also:
            return result
        others = ", ".join(str(place.partition) for place in found.also)
        name = self._models.wording.words["name"]
        also = (
            f" This is the decision in partition {found.partition}; the {name} is also known in "
            f"partition {others}."
        )
        return result.model_copy(update={"why": result.why + also})

    def _result(self, event: NormalEvent | DeadLetter, rules: Rules) -> CheckResult:
        partition, state = 0, None
        if isinstance(event, NormalEvent):
            self._rows.refuse_unless_recovered()
            if found := self._rows.find(event.id):
                partition, state = found[0]
        now = wall_clock()
        clock = ProcessingTime(microseconds(now), time_text(now))
        at = Position(partition, NEXT_OFFSET)
        result = check_result(event, state, decide(event, state, at, clock, rules), at, rules)
        if state is None:
            return result
        known = what_is_known(self._app.deduplicator.rules, rules)
        return result.model_copy(update={"why": result.why + known})

    async def _ask(
        self, owner: str, value: bytes, key: bytes | None, given: Mapping[str, str]
    ) -> CheckResult:
        query = {**given, **({} if key is None else {"key": key.decode()})}
        try:
            return await self._router.ask(
                owner, self._models.of(CheckResult), Ask("/api/check", query, value)
            )
        except NoAnswerError as error:
            raise HTTPServiceUnavailable(text=str(error)) from error
