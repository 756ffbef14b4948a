"""Audits `src_products`: its settings, its records, and its rows against `products`.

What it can prove: that each record is a row of its product in the partition of the event that its
headers name, with the fingerprint they say; that no product has rows in two partitions; that no two
neighbouring records of a product have equal content, unless it was a refresh; and, where `products`
still has every event of a partition, that each record is what its event led to, and each row the
one that these events lead to. A record is judged by the settings it was made with, which its
headers tell. What it can't: the sequence of emissions before compaction; and, where retention has
taken events off `products`, whether a row that differs does so by an event that is gone: such rows
are counted as not judged. The judge is the worker's own core: an error in the rules themselves is
not found (the oracle of the tests looks for those).

Events are replayed up to what the group DEDUP_APP_ID has committed, so a worker that lags is not
at fault. Memory does not grow with the topics: states are kept on disk.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from dedup.core.decide import Outcome, ProcessingTime, Rules, decide
from dedup.core.explain import instant
from dedup.core.fingerprint import VERSION, scheme_of
from dedup.core.madeby import rules_of_record
from dedup.core.row import read_product
from dedup.core.state import UNKNOWN_SOURCE, State
from dedup.inspection.evidence import Evidence
from dedup.inspection.gathering import gathered
from dedup.inspection.states import Read, StatesOnDisk, states_on_disk
from dedup.inspection.verdicts import Verdict, judge
from dedup.kafka.admin import TopicError
from dedup.kafka.partitioning import how_placed
from dedup.kafka.topic_reader import Spans, open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings

_AT_ONCE: Final = 1_000

NAMED: Final = 20
"""Findings of each check that are kept word by word; the others are counted."""


@dataclass
class Check:
    """One check: what it is, how much it looked at, and what it found."""

    title: str
    looked_at: int = 0
    faults: int = 0
    not_judged: int = 0
    named: list[str] = field(default_factory=list)

    def fault(self, sentence: str) -> None:
        """Count a fault, and keep its sentence if there are few."""
        self.faults += 1
        if len(self.named) < NAMED:
            self.named.append(sentence)


@dataclass
class Audit:
    """All checks. `cut`: partitions of `products` whose first events are gone.

    `notes`: in what the settings are not those that the newest records were made with.
    """

    settings: Check = field(default_factory=lambda: Check("topic settings"))
    records: Check = field(default_factory=lambda: Check("keys, rows, partitions, fingerprints"))
    neighbours: Check = field(default_factory=lambda: Check("neighbouring records differ"))
    rows: Check = field(default_factory=lambda: Check("rows against a replay of the events"))
    cut: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def checks(self) -> tuple[Check, ...]:
        """In the order in which they are done."""
        return self.settings, self.records, self.neighbours, self.rows

    @property
    def sound(self) -> bool:
        """Whether no check found a fault."""
        return not any(check.faults for check in self.checks)


async def audit(settings: Settings) -> Audit:
    """Do all checks on what stands on the topics now. Raises ReadError; TopicError when away."""
    found = Audit()
    rules = rules_of(settings)
    found.settings.looked_at = 1
    try:
        rules = rules_of(settings, await check_topics(settings))
    except TopicError as error:
        found.settings.fault(str(error))
    source = settings.KAFKA_PRODUCT_TOPIC
    with states_on_disk() as replayed, states_on_disk() as emitted:
        records = RecordAudit(found, rules)
        async with (
            gathered(settings, rules, emitted, look=records.look) as left,
            open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as events,
        ):
            found.notes = left.notes
            found.cut = [partition for partition, span in events.spans.items() if span.start > 0]
            spans = _done(left.committed, events.spans)
            _look_at_homes(emitted, left.evidence, len(events.spans), found)
            async for partition, batch in events.read(spans):
                for verdict in judge(batch, partition, replayed, left.teller):
                    if verdict.emission is not None:
                        _look_at_emission(verdict, rules, found)
        for partition, span in spans.items():
            _compare(partition, span, replayed, emitted, rules, found)
    return found


def _done(committed: Mapping[int, int], there: Spans) -> Spans:
    """Return what the worker's group has done; all there is, if it has committed nothing."""
    if not committed:
        return there
    return {p: range(span.start, committed.get(p, span.start)) for p, span in there.items()}


class RecordAudit:
    """Looks at the records of `src_products`, each by itself and beside the one before it."""

    def __init__(self, found: Audit, rules: Rules) -> None:
        self._found = found
        self._rules = rules

    def look(self, reads: Sequence[Read]) -> None:
        """Look at a run of records of one partition."""
        found = self._found
        for partition, record, product_id, state, before in reads:
            found.records.looked_at += 1
            place = f"{record.topic} {partition}:{record.offset}"
            if product_id is None or state is None:
                found.records.fault(f"{place} is no product row.")
                continue
            for fault in _faults(state, product_id, partition):
                found.records.fault(f"{place}: {fault}")
            found.neighbours.looked_at += 1
            if before is None:
                continue
            rules = made_by(record, state, self._rules)
            if _went_back(before, state):
                found.neighbours.fault(
                    f"{place}: product {product_id} has the record of event {state.partition}:"
                    f"{state.offset} after that of event {before.partition}:{before.offset}."
                )
            elif _equal_neighbours(before, state, rules):
                found.neighbours.fault(f"{place}: product {product_id} is as it was before.")


def made_by(record: Any, state: State, rules: Rules) -> Rules:
    """Return the rules a record was made with; these ones for one that names no source.

    A record that tells no time after which it is refreshed may be of a worker that did not tell it.
    """
    if state.partition == UNKNOWN_SOURCE:
        return rules
    made = rules_of_record(record.headers)
    return made if made.refresh_after_us else replace(made, refresh_after_us=rules.refresh_after_us)


def _faults(state: State, product_id: int, partition: int) -> Iterator[str]:
    if state.partition not in (UNKNOWN_SOURCE, partition):
        yield f"the event of product {product_id} came from partition {state.partition}."
    if state.row is None:
        return
    product = read_product(state.row)
    scheme = scheme_of(state.fingerprint)
    if product is None:
        yield f"the row of product {product_id} can't be read."
    elif product.product_id != product_id:
        yield f"the key is that of product {product_id}, the row that of {product.product_id}."
    elif scheme is None:
        if state.fingerprint[0] == VERSION:
            yield f"the fingerprint of product {product_id} names no content fields."
    elif scheme.fingerprint(product) != state.fingerprint:
        yield f"the fingerprint in the headers is not that of product {product_id}'s row."


def _went_back(before: State, state: State) -> bool:
    """Tell whether the event of a record had been passed by the record before it."""
    same_partition = UNKNOWN_SOURCE != state.partition == before.partition
    return (
        same_partition and state.offset <= before.offset and state.event_time <= before.event_time
    )


def _equal_neighbours(before: State, state: State, rules: Rules) -> bool:
    if _content(before, rules) != _content(state, rules):
        return False
    refresh_after = rules.refresh_after_us
    refreshed = refresh_after is not None and state.emitted_at - before.emitted_at >= refresh_after
    return state.row is None or not refreshed


def _content(state: State | None, rules: Rules) -> Any:
    """Return what makes two states equal by rules: their fingerprint; None: no row."""
    product = None if state is None or state.row is None else read_product(state.row)
    return None if product is None else rules.scheme.fingerprint(product)


def _look_at_homes(
    emitted: StatesOnDisk, evidence: Evidence, partitions: int, found: Audit
) -> None:
    """Find products that have rows in several partitions."""
    for partition in emitted.partitions:
        live = (i for i, state in emitted.items(partition) if state.row is not None)
        while some := list(islice(live, _AT_ONCE)):
            for product_id, other in evidence.other_homes(partition, some).items():
                first, second = (
                    f"{p} ({how_placed(product_id, p, partitions)})" for p in (other, partition)
                )
                found.records.fault(
                    f"Product {product_id} has rows in the partitions {first} and {second}: its "
                    "producers place keys differently. Let all use the same partitioner."
                )


def _look_at_emission(verdict: Verdict, rules: Rules, found: Audit) -> None:
    """Compare a record with what its event leads to, over what was known before it."""
    emission = verdict.emission
    if emission is None or verdict.at.partition in found.cut:
        return
    state = emission.state
    clock = ProcessingTime(state.emitted_at, instant(state.emitted_at) or "")
    made = [emission.rules, replace(rules, largest_row_bytes=None)]
    decisions = [decide(verdict.event, verdict.before, verdict.at, clock, r) for r in made]
    if any(d.state is not None and _same(d.state, state) for d in decisions):
        return
    if any(d.outcome in (Outcome.STALE, Outcome.REPLAYED) for d in decisions):
        return  # times of duplicates, which a worker may have forgotten; else it went back
    at = f"{verdict.at.partition}:{verdict.at.offset}"
    found.rows.fault(f"Product {emission.product_id}: the record of event {at} is not its row.")


def _same(one: State, other: State) -> bool:
    """Tell whether two states have the same product in their rows, or none."""
    if one.row is None or other.row is None:
        return one.row is other.row
    return read_product(one.row) == read_product(other.row)


def _by_fingerprint(row: State, rules: Rules) -> Rules:
    scheme = scheme_of(row.fingerprint)
    return rules if scheme is None else replace(rules, scheme=scheme)


def _compare(
    partition: int,
    span: range,
    replayed: StatesOnDisk,
    emitted: StatesOnDisk,
    rules: Rules,
    found: Audit,
) -> None:
    """Compare the row of each product with what its events lead to."""

    def compare(product_id: int, row: State | None, replay: State | None) -> None:
        check = found.rows
        check.looked_at += 1
        made = rules if row is None or row.row is None else _by_fingerprint(row, rules)
        if _content(row, made) == _content(replay, made):
            return
        emitted_meanwhile = row is not None and row.offset >= span.stop
        if emitted_meanwhile or partition in found.cut:
            check.not_judged += 1
            return
        has = "has no row" if row is None or row.row is None else "has another row"
        leads = "none" if replay is None or replay.row is None else f"event {replay.offset}"
        check.fault(f"Product {product_id} {has} than its events lead to: {leads}.")

    for product_id, row in emitted.items(partition):
        compare(product_id, row, replayed.read(partition, [product_id]).get(product_id))
    for product_id, replay in replayed.items(partition):
        if replay.row is not None and not emitted.read(partition, [product_id]):
            compare(product_id, None, replay)
