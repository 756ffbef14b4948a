"""Merges the answers of all workers into one for the group. Everything here is pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from dedup.core.decide import Outcome
from dedup.core.keys import Id
from dedup.web.entity_rows import PAGE, last_event_time
from dedup.web.ids import successor
from dedup.web.models import (
    EntityDetail,
    EntityLine,
    EntityList,
    Group,
    Overview,
    Place,
    Unanswered,
)


def merge_details(
    answers: Sequence[EntityDetail], unanswered: list[Unanswered], place: type[Place]
) -> EntityDetail:
    """Merge the answers about an id; the result shows the newest state."""
    newest = max(
        answers,
        key=lambda each: (
            each.known,
            each.newest_event_time or "",
            bool(each.decisions),
            -(each.partition or 0),
        ),
    )
    also: dict[int, Place] = {}
    for answer in answers:
        if answer is not newest and answer.known:
            for other in (_place(answer, place), *answer.also):
                also[other.partition] = other
    also |= {other.partition: other for other in newest.also}
    if newest.known and newest.partition is not None:
        also.pop(newest.partition, None)
    return newest.model_copy(
        update={
            "also": sorted(also.values(), key=lambda other: other.partition),
            "searched": sorted({p for answer in answers for p in answer.searched}),
            "unanswered": unanswered,
        }
    )


def _place(answer: EntityDetail, place: type[Place]) -> Place:
    return place(
        worker=answer.worker or "",
        partition=answer.partition or 0,
        deleted=answer.deleted,
        row=answer.row,
        newest_event_time=answer.newest_event_time,
        source_offset=answer.source_offset,
    )


def merge_lists(
    answers: Sequence[EntityList],
    unanswered: list[Unanswered],
    after: Id | None,
    before: Id | None,
    search: str,
) -> EntityList:
    """Merge one page of the list from each worker's page.

    A worker with further rows searched no further than its cursor. Beyond the nearest cursor
    the merged page would have gaps, so it ends there.
    """
    backwards = before is not None
    cursors = [each.previous_before if backwards else each.next_after for each in answers]
    nearest = _nearest([cursor for cursor in cursors if cursor is not None], backwards=backwards)
    lines = [
        line
        for line in _lines(answers)
        if nearest is None
        or (_before(nearest, line.id) if backwards else _before(line.id, nearest))
    ]
    ended = nearest is None
    if len(lines) > PAGE:
        lines = lines[-PAGE:] if backwards else lines[:PAGE]
        nearest = lines[0 if backwards else -1].id
        ended = False
    totals = [each.total for each in answers]
    known = [total for total in totals if total is not None]
    previous, following = None if after is None else successor(after), nearest
    if before is not None:
        starts = [each.next_after for each in answers if each.next_after is not None]
        previous, following = nearest, lines[-1].id if lines else _nearest(starts, backwards=False)
    return type(answers[0])(
        rows=lines,
        search=search,
        scanned=sum(each.scanned for each in answers),
        complete=ended or len(lines) == PAGE,
        previous_before=previous,
        next_after=following,
        total=sum(known) if len(known) == len(totals) and not unanswered else None,
        searched=sorted({partition for each in answers for partition in each.searched}),
        unanswered=unanswered,
    )


def _nearest(cursors: Sequence[Id], *, backwards: bool) -> Id | None:
    ordered: list[Any] = [*cursors]
    found: Id | None = (max if backwards else min)(ordered, default=None)
    return found


def _before(one: Any, other: Any) -> bool:
    """Tell whether an id is another one or before it: texts are in the order of their UTF-8."""
    is_before: bool = one <= other
    return is_before


def _lines(answers: Iterable[EntityList]) -> list[EntityLine]:
    """Return the lines of all workers by id, one for each."""
    found: dict[Any, EntityLine] = {}
    for answer in answers:
        for line in answer.rows:
            other = found.get(line.id)
            if other is None:
                found[line.id] = line
                continue
            newer, older = sorted(
                (line, other), key=lambda each: last_event_time(each.row), reverse=True
            )
            partitions = dict.fromkeys([*newer.partitions, *older.partitions])
            found[line.id] = newer.model_copy(update={"partitions": list(partitions)})
    return [line for _, line in sorted(found.items())]


def merge_overviews(
    group: type[Group], answers: Sequence[Overview], unanswered: list[Unanswered]
) -> Group:
    """Return the sums of the figures of all workers that answered."""
    rows = [answer.rows for answer in answers]
    lags = [each.lag_records for answer in answers for each in answer.partitions]
    ages = [answer.lag_seconds for answer in answers if answer.lag_seconds is not None]
    as_of = [answer.lag_as_of for answer in answers if answer.lag_as_of is not None]
    observed = [answer.would_emit_per_second for answer in answers]
    would_emit = [rate for rate in observed if rate is not None]
    recent = _summed(answer.recent for answer in answers)
    seen = sum(recent.values())
    whole = not unanswered
    return group(
        answered=len(answers),
        unanswered=unanswered,
        since=min(answer.since for answer in answers),
        events_per_second=sum(answer.events_per_second for answer in answers),
        emitted_per_second=sum(answer.emitted_per_second for answer in answers),
        would_emit_per_second=sum(would_emit) if would_emit else None,
        duplicate_share=recent.get(Outcome.DUPLICATE, 0) / seen if seen else None,
        rows=_sum(rows) if whole else None,
        lag_records=_sum(lags) if whole and lags else None,
        lag_seconds=max(ages, default=None) if whole else None,
        lag_as_of=min(as_of, default=None),
        totals=_summed(answer.totals for answer in answers),
        recent=recent,
        dead_letters=_summed(answer.dead_letters for answer in answers),
        interval_seconds=answers[0].interval_seconds,
        intervals=[
            _summed(each) for each in zip(*(answer.intervals for answer in answers), strict=False)
        ],
        partitions=sorted(
            (partition for answer in answers for partition in answer.partitions),
            key=lambda each: each.partition,
        ),
    )


def _sum(numbers: Sequence[int | None]) -> int | None:
    """Return the sum; None if one of the numbers is not known."""
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)  # unlike +, it keeps what is 0
    return dict(total)
