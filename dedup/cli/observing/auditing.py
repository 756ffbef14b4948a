"""Audits `src_products`: its settings, its records, and its rows against `products`.

What it can prove: that each record is a row of its product in the product's partition, with the
fingerprint its headers say; that no two neighbouring records of a product have equal content; and,
where `products` still has every event of a partition, that each row is the one which these events
lead to. What it can't: the sequence of emissions before compaction; and, where retention has taken
events off `products`, whether a row that differs does so by an event that is gone: such rows are
counted as not judged. The judge is the worker's own
core: an error in the rules themselves is not found (the oracle of the tests looks for those).

Events are replayed up to what the group DEDUP_APP_ID has committed, so a worker that lags is not
at fault. Memory does not grow with the topics: states are kept on disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from dedup.cli.observing.states import StatesOnDisk, state_of_record, states_on_disk
from dedup.cli.observing.verdicts import judge, with_markers
from dedup.core.decide import Rules
from dedup.core.row import read_output_key, read_product
from dedup.core.state import State
from dedup.partitioning import partition_of_product
from dedup.positions import committed_offsets
from dedup.reading import Spans, TopicReader, open_topic
from dedup.settings import Settings
from dedup.topics import TopicError, check_topics

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
    """All checks. `cut`: partitions of `products` whose first events are gone."""

    settings: Check = field(default_factory=lambda: Check("topic settings"))
    records: Check = field(default_factory=lambda: Check("keys, rows, partitions, fingerprints"))
    neighbours: Check = field(default_factory=lambda: Check("neighbouring records differ"))
    rows: Check = field(default_factory=lambda: Check("rows against a replay of the events"))
    cut: list[int] = field(default_factory=list)

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
    rules = settings.rules()
    found.settings.looked_at = 1
    try:
        facts = await check_topics(settings)
        rules = with_markers(rules, facts.delete_retention_ms)
    except TopicError as error:
        found.settings.fault(str(error))
    source, states = settings.KAFKA_PRODUCT_TOPIC, settings.KAFKA_SRC_PRODUCTS_TOPIC
    with states_on_disk() as replayed, states_on_disk() as emitted:
        async with open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as events:
            spans = await _committed(settings, events.spans)
            found.cut = [partition for partition, span in events.spans.items() if span.start > 0]
            async with open_topic(settings, states, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
                await _look_at_records(output, emitted, rules, found)
            async for partition, records in events.read(spans):
                for _ in judge(records, partition, replayed, rules):
                    pass
        for partition, span in spans.items():
            _compare(partition, span, replayed, emitted, rules, found)
    return found


async def _committed(settings: Settings, there: Spans) -> Spans:
    """Give what the worker's group has done; all there is, if it has committed nothing."""
    committed = await committed_offsets(settings, len(there))
    if not committed:
        return there
    return {p: range(span.start, committed.get(p, span.start)) for p, span in there.items()}


async def _look_at_records(
    output: TopicReader, emitted: StatesOnDisk, rules: Rules, found: Audit
) -> None:
    partitions = len(output.spans)
    async for partition, records in output.read():
        ids = {read_output_key(record.key) for record in records} - {None}
        known = emitted.read(partition, [i for i in ids if i is not None])
        for record in records:
            found.records.looked_at += 1
            place = f"src_products {partition}:{record.offset}"
            before = known.get(read_output_key(record.key) or 0)
            read = state_of_record(record, rules.scheme, before)
            if read is None:
                found.records.fault(f"{place} is no product row.")
                continue
            product_id, state = read
            home = partition_of_product(product_id, partitions)
            for fault in _faults(state, product_id, partition, home, rules):
                found.records.fault(f"{place}: {fault}")
            found.neighbours.looked_at += 1
            if before is not None and _equal_neighbours(before, state, rules):
                found.neighbours.fault(f"{place}: product {product_id} is as it was before.")
            known[product_id] = state
        emitted.write(partition, known)


def _faults(
    state: State, product_id: int, partition: int, home: int, rules: Rules
) -> Iterator[str]:
    if partition != home:
        yield f"product {product_id} belongs in partition {home}."
    if state.row is None:
        return
    product = read_product(state.row)
    if product is None:
        yield f"the row of product {product_id} can't be read."
    elif rules.scheme.made(state.fingerprint) and (
        rules.scheme.fingerprint(product) != state.fingerprint
    ):
        yield f"the fingerprint in the headers is not that of product {product_id}'s row."


def _equal_neighbours(before: State, state: State, rules: Rules) -> bool:
    if _content(before, rules) != _content(state, rules):
        return False
    refresh_after = rules.refresh_after_us
    refreshed = refresh_after is not None and state.emitted_at - before.emitted_at >= refresh_after
    return state.row is None or not refreshed


def _content(state: State | None, rules: Rules) -> Any:
    """Give what makes two states equal: their fingerprint by the rules of today; None: no row."""
    product = None if state is None or state.row is None else read_product(state.row)
    return None if product is None else rules.scheme.fingerprint(product)


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
        if _content(row, rules) == _content(replay, rules):
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
