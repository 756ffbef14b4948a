"""Commands show the decisions that the worker made, whatever the settings are now."""

import asyncio
import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from dedup.core.rules_header import rules_of_record
from dedup.entities.product import PRODUCT
from dedup.kafka.topic_checks import DAY_MS
from dedup.kafka.topics import ensure_topics
from dedup.settings import load_settings
from tests.cli.changed_settings import EACH, SESSIONS, Done, work
from tests.cli.topics import Topics
from tests.support.administration import alter
from tests.support.records import event as plain_event
from tests.support.state_header import state_header
from tests.support.topics import Records, produce, wait_until_done
from tests.support.workers import Names, WorkerProcess, wait_until_counted

SETTINGS: tuple[dict[str, str], ...] = (
    *SESSIONS[:-1],
    {"DEDUP_CONTENT_FIELDS": "description", "DEDUP_ORDER": "arrival"},
    {"DEDUP_REFRESH_AFTER": "0.001", "DEDUP_UNKNOWN_ACTION": "dead_letter"},
)


@pytest.fixture(scope="module", params=[5])
def done(
    kafka: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Done:
    return asyncio.run(work(kafka, tmp_path_factory.mktemp("rules"), Random(request.param)))


def test_the_history_has_every_kind_of_decision(done: Done) -> None:
    """Else the tests below would show little."""
    outcomes = {"change", "refresh", "tombstone", "duplicate", "stale", "dead_letter"}
    assert outcomes <= (+done.counted).keys()
    assert done.counted.total() == len(SESSIONS) * (EACH + 40)
    reasons = {dict(r.headers)["dedup.errors.reason"] for p in done.letters.values() for r in p}
    assert {b"row_too_large", b"unknown_action", b"invalid_json"} <= reasons


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_statistics_are_what_the_workers_counted(done: Done, settings: dict[str, str]) -> None:
    shown = done.topics.json_of("stats", **settings)
    assert +Counter(shown["deduplication_stats"]["outcomes"]) == +done.counted


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_what_workers_did_with_any_settings_has_no_fault(
    done: Done, settings: dict[str, str]
) -> None:
    assert done.topics.faults(**settings) == {}


@pytest.mark.parametrize("settings", SETTINGS[-2:], ids=str)
def test_tail_shows_each_emission_and_each_dead_letter(
    done: Done, settings: dict[str, str]
) -> None:
    lines = done.topics.run(
        "tail", "--from-beginning", "--until-end", "--json", **settings
    ).splitlines()
    verdicts = [json.loads(line) for line in lines]
    assert Counter(verdict["outcome"] for verdict in verdicts) == +done.counted
    emitting = {(v["partition"], v["offset"]) for v in verdicts if v["emits"]}
    assert emitting == {source_of(r) for records in done.states.values() for r in records}
    dead = Counter(v["reason"] for v in verdicts if v["reason"])
    reasons = [dict(r.headers)["dedup.errors.reason"] for p in done.letters.values() for r in p]
    assert dead == Counter(reason.decode() for reason in reasons)


def test_inspect_shows_the_emissions_of_each_product(done: Done) -> None:
    emitted = defaultdict(list)
    for partition, records in done.states.items():
        for record in records:
            product_id = json.loads(record.key)["product_id"]
            emitted[product_id].append((partition, record.offset, source_of(record)))
    for product_id in list(emitted)[:3]:
        shown = done.topics.json_of("inspect", str(product_id), "--events", "5000", **SETTINGS[-1])
        events = [e for e in shown["events"] if e["emits"]]
        found = [(e["partition"], e["emitted_at"], (e["partition"], e["offset"])) for e in events]
        assert found == emitted[product_id]
        assert shown["fingerprint_matches"] in (True, None)
        assert len(shown["notes"]) == 2
        assert "DEDUP_REFRESH_AFTER" in shown["notes"][0]


def source_of(record: Any) -> tuple[int, int]:
    return state_header(record.headers).source


async def copied(done: Done, states: Records) -> Topics:
    """The same events and group beside another output topic, which holds these records."""
    names = replace(done.topics.names, states=Names.fresh().states)
    topics = Topics(done.topics.kafka, names)
    await ensure_topics(load_settings({"KAFKA_BOOTSTRAP_SERVERS": topics.kafka, **names.settings}))
    async with AIOKafkaProducer(bootstrap_servers=topics.kafka) as producer:
        for partition, records in states.items():
            for r in records:
                await producer.send(
                    *(names.states, r.value, r.key, partition, r.timestamp, list(r.headers))
                )
        await producer.flush()
    return topics


def with_row(record: Any, headers: dict[str, bytes] | None = None, **changed: Any) -> Any:
    value = json.dumps(json.loads(record.value) | changed).encode()
    merged = dict(record.headers) | (headers or {})
    return SimpleNamespace(
        value=value, key=record.key, timestamp=record.timestamp, headers=list(merged.items())
    )


def fingerprint_for(record: Any, **changed: Any) -> dict[str, bytes]:
    """The header that the row would have with another content, by the fields it was made with."""
    codec = rules_of_record(record.headers, PRODUCT).codec
    fingerprint = codec.row_fingerprint(with_row(record, **changed).value)
    assert fingerprint is not None
    return {"dedup.state": state_header(record.headers)._replace(fingerprint=fingerprint).packed}


@pytest.mark.parametrize("settings", SETTINGS[:2], ids=str)
async def test_real_faults_are_found_whatever_the_settings(
    done: Done, settings: dict[str, str]
) -> None:
    """A worker that lost, changed, repeated or reordered a record is not excused by a setting."""
    partition, records = next(iter(done.states.items()))
    last = {json.loads(r.key)["product_id"]: i for i, r in enumerate(records)}
    newest = max(i for i in last.values() if records[i].value is not None)
    record = records[newest]
    other: dict[str, Any] = {"price": "77.00", "stock_quantity": 77}
    title = "rows against a replay of the events"
    broken = {
        "sound": (records, {}),
        "lost": ([*records[:newest], *records[newest + 1 :]], {title: (1, 0)}),
        "changed": (
            [*records[:newest], with_row(record, **other), *records[newest + 1 :]],
            {"keys, rows, partitions, fingerprints": (1, 0), title: (1, 0)},
        ),
        "changed with its fingerprint": (
            [
                *records[:newest],
                with_row(record, fingerprint_for(record, **other), **other),
                *records[newest + 1 :],
            ],
            {title: (1, 0)},
        ),
        "repeated": ([*records, records[-1]], {"neighbouring records differ": (1, 0)}),
    }
    for name, (states, faults) in broken.items():
        topics = await copied(done, {**done.states, partition: states})
        assert topics.faults(**settings) == faults, name


async def test_an_old_state_over_a_newer_one_is_a_fault(done: Done) -> None:
    """As a worker without fencing would write it after it was suspended."""
    partition, records = next(iter(done.states.items()))
    product, first = next(
        (r.key, i)
        for i, r in enumerate(records)
        if r.value is not None and sum(other.key == r.key for other in records) > 2
    )
    last = [r for r in records if r.key == product][-1]
    assert last.value != records[first].value
    topics = await copied(done, {**done.states, partition: [*records, records[first]]})
    faults = topics.faults()
    assert faults["neighbouring records differ"] == (1, 0)
    assert faults["rows against a replay of the events"] == (1, 0)


@pytest.mark.parametrize("settings", SETTINGS[:2], ids=str)
async def test_decisions_without_a_record_are_recomputed_with_the_rules_of_that_time(
    done: Done, settings: dict[str, str]
) -> None:
    """Of the part of a partition that was cleaned, the last record of each product is left.

    Records that are not rows fill the offsets of removed records and of transaction markers.
    """
    random = Random(1)
    filler = SimpleNamespace(key=b"filler", value=b"", timestamp=1, headers=[])
    removed, fillers, states = 0, 0, {}
    for partition, records in done.states.items():
        cleaned = records[: random.randrange(len(records) // 2, len(records))]
        newest = {record.key: record.offset for record in cleaned}
        gone = {r.offset for r in cleaned if r.offset < newest[r.key]}
        left = {r.offset: r for r in records if r.offset not in gone}
        states[partition] = [left.get(offset, filler) for offset in range(records[-1].offset + 1)]
        removed += len(gone)
        fillers += len(states[partition]) - len(left)
    assert removed > 50
    topics = await copied(done, states)
    shown = topics.json_of("stats", **settings)["deduplication_stats"]["outcomes"]
    assert +Counter(shown) == +done.counted
    title = "keys, rows, partitions, fingerprints"
    assert topics.faults(**settings) == {title: (fillers, 0)}


async def test_records_without_rules_are_checked_by_their_fingerprints(
    done: Done,
) -> None:
    """As those of earlier versions; of DEDUP_REFRESH_AFTER these knew nothing, so it is set."""
    states = {
        partition: [
            SimpleNamespace(
                key=r.key,
                value=r.value,
                timestamp=r.timestamp,
                headers=[(name, value) for name, value in r.headers if name != "dedup.rules"],
            )
            for r in records
        ]
        for partition, records in done.states.items()
    }
    topics = await copied(done, states)
    for fields in ("price", "stock_quantity", "product_name,description"):
        settings = {"DEDUP_REFRESH_AFTER": "0.001", "DEDUP_CONTENT_FIELDS": fields}
        assert topics.faults(**settings) == {}
    shown = topics.json_of("stats")["deduplication_stats"]["outcomes"]
    for outcome in ("change", "refresh", "tombstone", "dead_letter"):
        assert shown[outcome] == done.counted[outcome]


async def test_the_time_for_which_deletions_were_remembered_may_be_altered(
    kafka: str, tmp_path: Path
) -> None:
    """delete.retention.ms: what a worker started with decides, not what the topic has today."""
    topics = await Topics.made(kafka)
    names = topics.names
    counted: Counter[str] = Counter()
    sessions = {
        str(DAY_MS): [(5, "updated"), (6, "deleted"), (3, "updated")],
        "1": [(2, "updated"), (9, "deleted"), (1, "updated")],
    }
    for retention, events in sessions.items():
        await alter(kafka, names.states, cleanup_policy="compact", delete_retention_ms=retention)
        (tmp_path / "state.log").unlink(missing_ok=True)
        with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
            worker.wait_until_ready()
            for number, action in events:
                value = plain_event(1, number=number, action=action)
                await produce(kafka, [(b"1", value)], names.source)
                await wait_until_done(kafka, names)
                await asyncio.sleep(0.02)  # longer than a deletion is remembered at last
            counted += wait_until_counted(len(events), worker)
            assert worker.terminate() == 0
    assert counted == {"change": 3, "tombstone": 2, "stale": 1}
    for retention in sessions:
        await alter(kafka, names.states, cleanup_policy="compact", delete_retention_ms=retention)
        shown = topics.json_of("stats")["deduplication_stats"]["outcomes"]
        assert +Counter(shown) == counted
        assert topics.faults() == {}
