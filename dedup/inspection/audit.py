"""Audits `src_products`: its settings, its records, and its rows against `products`.

What it proves: each record is a row of its product, in the partition of the event that its headers
name, with the fingerprint in its headers; no product has rows in two partitions; no record of a
product repeats what the one before remembers as emitted within the window; and, where `products`
still has all events of a partition, each record is the result of its event and that is no
duplicate, and each row is that of all its events. A record is checked with the settings in its
headers, which it was made with.

What it can't prove: the sequence of emissions that compaction has removed; and, where retention has
removed events, whether a row differs because of a removed event: such rows are counted as not
judged. The decisions are those of the worker's own core, so an error in the rules is not found (the
oracle of the tests looks for those).

Events are replayed up to the committed offsets of the group DEDUP_APP_ID, so the lag of a worker is
not a fault. Memory does not grow with the topics: states are on disk.
"""

from collections.abc import Mapping

from dedup.inspection.audit_result import Audit
from dedup.inspection.decided_events import decide_records
from dedup.inspection.record_checks import RecordChecks, check_partitions
from dedup.inspection.recorded_output import open_recorded_output
from dedup.inspection.replay_checks import ReplayChecks
from dedup.inspection.states import states_on_disk
from dedup.kafka.admin import TopicError
from dedup.kafka.topic_reader import Spans, open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings


async def audit(settings: Settings) -> Audit:
    """Do all checks on the topics as they are now. Raises ReadError, and TopicError if missing."""
    result = Audit()
    rules = rules_of(settings)
    result.settings.looked_at = 1
    try:
        rules = rules_of(settings, await check_topics(settings))
    except TopicError as error:
        result.settings.fault(str(error))
    source = settings.KAFKA_PRODUCT_TOPIC
    entity = settings.entity
    with states_on_disk(entity) as replayed, states_on_disk(entity) as emitted:
        check_records = RecordChecks(result, rules).check
        async with (
            open_recorded_output(settings, rules, emitted, on_records=check_records) as output,
            open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as events,
        ):
            result.notes = output.notes
            result.cut = [partition for partition, span in events.spans.items() if span.start > 0]
            spans = _done(output.committed, events.spans)
            check_partitions(emitted, output.index, len(events.spans), rules.codec, result)
            replay = ReplayChecks(result, rules, output.index)
            async for partition, batch in events.read(spans):
                for decided in decide_records(batch, partition, replayed, output.resolver):
                    replay.check_emission(decided)
            for partition, span in spans.items():
                replay.compare_rows(partition, span, replayed, emitted)
    return result


def _done(committed: Mapping[int, int], there: Spans) -> Spans:
    """Return the events the worker's group has committed; all, if it has committed nothing."""
    if not committed:
        return there
    return {p: range(span.start, committed.get(p, span.start)) for p, span in there.items()}
