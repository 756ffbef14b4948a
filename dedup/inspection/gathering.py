"""Gathers what commands tell events by: the worker's rules, its emissions, its dead letters."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from dedup.core.decide import Rules
from dedup.core.madeby import rules_of_record
from dedup.core.state import UNKNOWN_SOURCE
from dedup.dlq.record import DeadLetterRecord
from dedup.dlq.topic import open_dead_letters
from dedup.inspection.evidence import Evidence, evidence_on_disk
from dedup.inspection.states import Read, States, read_states
from dedup.inspection.telling import Teller
from dedup.kafka.offsets import committed_offsets
from dedup.kafka.topic_reader import ReadError, open_topic
from dedup.settings import Settings

_LETTERS_AT_ONCE: Final = 500


class Gathered(NamedTuple):
    """A teller of events, what the group has committed, and in what the settings differ.

    `notes`: a sentence for each setting that is not the one the newest records were made with.
    """

    teller: Teller
    evidence: Evidence
    committed: Mapping[int, int]
    notes: list[str]


@asynccontextmanager
async def gathered(
    settings: Settings,
    rules: Rules,
    states: States,
    *,
    look: Callable[[Sequence[Read]], None] = lambda _: None,
    keep: int | None = None,
    partition: int | None = None,
) -> AsyncIterator[Gathered]:
    """Read what the worker left; `look` sees all of `src_products`. Raises ReadError.

    With `keep` only the rows of that product are kept, with `partition` only that one is read.
    """
    source = settings.KAFKA_PRODUCT_TOPIC
    with evidence_on_disk() as evidence:
        async with open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as events:
            # Asked before the records are read: those then hold at least what came before it.
            committed = await committed_offsets(settings, len(events.spans))
        newest: dict[int, Read] = {}
        topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
        async with open_topic(settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
            spans = {p: s for p, s in output.spans.items() if partition in (None, p)}
            async for reads in read_states(output, states, rules.scheme, spans):
                evidence.add_emissions(reads, keep)
                newest |= {read.partition: read for read in reads if read.state is not None}
                look(reads)
        await _gather_letters(settings, evidence)
        teller = Teller(rules, evidence, committed)
        yield Gathered(teller, evidence, committed, differences(settings, rules, newest.values()))


async def _gather_letters(settings: Settings, evidence: Evidence) -> None:
    try:
        async with open_dead_letters(settings) as letters:
            spans = letters.spans
            some: list[DeadLetterRecord] = []
            async for letter in letters.read():
                some.append(letter)
                if len(some) == _LETTERS_AT_ONCE:
                    evidence.add_letters(settings.KAFKA_PRODUCT_TOPIC, some)
                    some = []
            evidence.add_letters(settings.KAFKA_PRODUCT_TOPIC, some)
            evidence.letters_complete = all(span.start == 0 for span in spans.values())
    except ReadError:
        return  # without the topic nothing is known of dead letters; `verify` reports it


def differences(settings: Settings, rules: Rules, newest: Iterable[Read]) -> list[str]:
    """Say in what these settings are not those that the newest records were made with."""
    ours = [r for r in newest if r.state is not None and r.state.partition != UNKNOWN_SOURCE]
    if not ours:
        return []
    last = max(ours, key=lambda read: read.state.emitted_at if read.state else 0)
    made = rules_of_record(last.record.headers)
    key_format = "json" if (last.record.key or b"").startswith(b"{") else "plain"
    pairs = {
        "DEDUP_ORDER": (rules.order, made.order),
        "DEDUP_REFRESH_AFTER": (_seconds(rules), _seconds(made)),
        "DEDUP_UNKNOWN_ACTION": (rules.unknown_actions, made.unknown_actions),
        "DEDUP_OUTPUT_KEY_FORMAT": (settings.DEDUP_OUTPUT_KEY_FORMAT, key_format),
    }
    if last.state is not None and last.state.row is not None:
        fields = ",".join(rules.scheme.fields), ",".join(made.scheme.fields)
        pairs = {"DEDUP_CONTENT_FIELDS": fields, **pairs}
    topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
    return [
        f"{name} is {here} here; the newest record of {topic} was made with {there}."
        for name, (here, there) in pairs.items()
        if here != there
    ]


def _seconds(rules: Rules) -> str:
    return "not set" if rules.refresh_after_us is None else f"{rules.refresh_after_us / 1e6:g} s"
