"""`dedup dlq replay` against a real broker: corrected, to the right place, exactly once, marked."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete
from click.testing import CliRunner

from dedup.cli import cli
from dedup.core.dead_letter import AnyHeader, Reason, dead_letter_headers, fitting
from dedup.core.dead_letter import DeadLetter as Why
from dedup.dlq.correction import Correction
from dedup.dlq.replay import Resubmission, open_replayer
from dedup.dlq.selection import Selection, find, resubmissions
from dedup.kafka.topic_reader import ReadError
from dedup.kafka.topics import ensure_topics
from dedup.settings import load_settings
from tests.cli.dead_letters import Dlq, Record, reasons, until
from tests.support.administration import admin, create
from tests.support.records import event
from tests.support.topics import partition_of, read_topic
from tests.support.workers import WorkerProcess

OWN: list[AnyHeader] = [
    ("trace", b"abc"),
    ("__streams.errors.exception", b"of another application"),
    ("__streams.errors.partition", b"7"),
    ("dedup.errors.reason", b"of long ago"),
    ("empty", None),
    ("dedup.errors.truncated", b"value"),
]
"""Headers that an event came with, which look like the worker's."""


class _KilledError(Exception):
    pass


def other_partition(key: bytes) -> int:
    return (partition_of(key) + 1) % 4


async def sent(dlq: Dlq) -> dict[int, list[Record]]:
    """Return the records of the source topic by partition, without empty partitions."""
    return {p: records for p, records in (await dlq.read(dlq.names.source)).items() if records}


async def test_a_dead_letter_is_corrected_applied_and_not_sent_again(
    kafka: str, tmp_path: Path
) -> None:
    """The dry run sends nothing and says what the worker then does."""
    dlq = Dlq(kafka)
    home = other_partition(b"5")
    bad: Record = (b"5", event(5, number=3, price="-1"), [("trace", b"abc")])
    with WorkerProcess(kafka, tmp_path / "state", dlq.names.settings) as worker:
        worker.wait_until_ready()
        await dlq.write(dlq.names.source, home, (b"5", event(5, number=2), []), bad)
        await until(worker, 'dedup_events_total{outcome="dead_letter",strategy="latest"}', 1)
        await until(worker, 'dedup_events_total{outcome="change",strategy="latest"}', 1)
        position = f"{home}:0"
        correction = (position, "--set", "product.price=12.00", "--set", "event_id=mended")

        done = dlq.run("replay", position, "--dry-run", "--json")
        assert json.loads(done.stdout)["outcome"] == "dead_letter"
        done = dlq.run("replay", *correction, "--dry-run", "--json")
        shown = json.loads(done.stdout)
        assert (shown["outcome"], shown["partition"], shown["position"]) == (
            "change",
            home,
            position,
        )
        assert {"field": "price", "known": "10.00", "event": "12.00", "differs": True}.items() <= (
            next(c for c in shown["comparisons"] if c["field"] == "price").items()
        )
        line = dlq.run("replay", *correction, "--dry-run").stdout
        assert "change" in line
        assert "price 10.00 → 12.00" in line
        assert len((await sent(dlq))[home]) == 2

        done = dlq.run("replay", *correction, "--yes")
        assert (done.returncode, done.stdout) == (0, "Re-submitted 1 dead letter.\n"), done.stderr
        await until(worker, 'dedup_events_total{outcome="change",strategy="latest"}', 2)
    states = [r for rs in (await read_topic(kafka, dlq.names.states)).values() for r in rs]
    row = json.loads(states[-1].value)
    assert (row["price"], row["last_event_id"]) == ("12.00", "mended")
    assert (await sent(dlq))[home][-1][2] == [("trace", b"abc")]

    (listed,) = dlq.listed()
    assert listed["replayed"]
    assert "Re-submitted 20" in dlq.run("list").stdout
    assert "replayed  20" in dlq.run("show", str(home), "0").stdout
    done = dlq.run("replay", "--all", "--yes")
    assert done.stdout == "Re-submitted 0 dead letters.\n"
    assert done.stderr.startswith("1 dead letter left out: re-submitted before.")
    asked = dlq.run("replay", position)
    assert "Re-submit 1 dead letter, 1 of them once more?" in asked.stderr


async def test_an_event_gets_exactly_its_own_headers_back_however_often_it_is_replayed(
    kafka: str, tmp_path: Path
) -> None:
    """Also those that are called like the worker's, and null ones, in their order."""
    dlq = Dlq(kafka)
    bad: Record = (b"5", b"{", OWN)
    with WorkerProcess(kafka, tmp_path / "state", dlq.names.settings) as worker:
        worker.wait_until_ready()
        await dlq.write(dlq.names.source, 2, bad)
        for count in (1, 2, 3):
            await until(
                worker, 'dedup_events_total{outcome="dead_letter",strategy="latest"}', count
            )
            done = dlq.run("replay", "--reason", "invalid_json", "--yes")
            assert done.stdout == "Re-submitted 1 dead letter.\n", done.stderr
        await until(worker, 'dedup_events_total{outcome="dead_letter",strategy="latest"}', 4)
    assert await sent(dlq) == {2: [bad] * 4}
    assert [letter["source"]["offset"] for letter in dlq.listed()] == sorted(
        {letter["source"]["offset"] for letter in dlq.listed()}
    )


async def test_an_event_goes_back_where_it_came_from_whatever_its_key_and_the_topic_s_partitions(
    kafka: str,
) -> None:
    dlq = Dlq(kafka)
    async with admin(kafka) as client:
        await create(client, dlq.names.dead_letters, 1)
    await ensure_topics(load_settings(dlq.settings))
    for number in range(12):
        key = b"%d" % number
        letter: Record = (key, b"{", reasons(Reason.INVALID_JSON, crc32(key) % 4, number))
        await dlq.write(dlq.names.dead_letters, 0, letter)
    assert dlq.run("replay", "--all", "--yes").returncode == 0
    found = await sent(dlq)
    assert {int(key or b""): p for p, rs in found.items() for key, _, _ in rs} == {
        number: crc32(b"%d" % number) % 4 for number in range(12)
    }


async def test_a_partition_that_the_source_does_not_have_is_refused_before_anything_is_sent(
    dlq: Dlq,
) -> None:
    good: Record = (b"1", b"{", reasons(Reason.INVALID_JSON, 1))
    await dlq.write(dlq.names.dead_letters, 1, good, (b"1", b"{", reasons(Reason.INVALID_JSON, 9)))
    done = dlq.run("replay", "--all", "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "The dead letter 1:1 came from partition 9, and" in done.stderr
    assert await sent(dlq) == {}
    assert dlq.run("replay", "1:0", "--yes").returncode == 0
    assert await sent(dlq) == {1: [(b"1", b"{", [])]}


ROW = b'{"product_id":42,"product_name":"a","price":"1.00"}'


@pytest.mark.parametrize("known_by", ["state", "tombstone", "event", "others", "nothing"])
async def test_with_another_key_an_event_goes_to_the_partition_of_that_product(
    dlq: Dlq, known_by: str
) -> None:
    """By fact: its state, else its events; else as producers place keys; else where it was."""
    from_partition, fact = 3, (crc32(b"42") + 2) % 4
    letter: Record = (b"41", event(42, number=9), reasons(Reason.KEY_MISMATCH, from_partition))
    await dlq.write(dlq.names.dead_letters, 0, letter)
    expected = fact
    if known_by in ("state", "tombstone"):
        value = ROW if known_by == "state" else None
        await dlq.write(dlq.names.states, fact, (b'{"product_id":42}', value, []))
        await dlq.write(dlq.names.source, (fact + 1) % 4, (b"42", event(42), []))
    elif known_by == "event":
        await dlq.write(dlq.names.source, fact, (b"42", event(42), []))
    elif known_by == "others":
        for number in range(50, 70):
            key = b"%d" % number
            await dlq.write(dlq.names.source, crc32(key) % 4, (key, event(number), []))
        expected = crc32(b"42") % 4
    else:
        expected = from_partition
    before = await sent(dlq)
    done = dlq.run("replay", "0:0", "--key", "42", "--yes")
    assert done.returncode == 0, done.stderr
    after = await sent(dlq)
    before.setdefault(expected, []).append((b"42", event(42, number=9), []))
    assert after == before


async def test_no_event_is_sent_for_a_product_with_two_rows(dlq: Dlq) -> None:
    letter: Record = (b"41", event(42), reasons(Reason.KEY_MISMATCH, 3))
    await dlq.write(dlq.names.dead_letters, 0, letter)
    for partition in (0, 2):
        await dlq.write(dlq.names.states, partition, (b'{"product_id":42}', ROW, []))
    done = dlq.run("replay", "0:0", "--key", "42", "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "The product 42 has rows in the partitions [0, 2]" in done.stderr
    assert await sent(dlq) == {}


async def test_a_complete_value_comes_from_a_file(dlq: Dlq, tmp_path: Path) -> None:
    await dlq.write(dlq.names.dead_letters, 0, (b"1", b"{", reasons(Reason.INVALID_JSON, 2)))
    (tmp_path / "event.json").write_bytes(b'{"a":1.0}')
    file = str(tmp_path / "event.json")
    assert dlq.run("replay", "0:0", "--value", file, "--set", "b=2", "--yes").returncode == 0
    assert await sent(dlq) == {2: [(b"1", b'{"a":1.0,"b":2}', [])]}


async def test_a_replay_that_is_killed_has_sent_and_marked_nothing_it_did_not_commit(
    dlq: Dlq,
) -> None:
    """And one that another replay has fenced sends nothing more: no event is sent twice."""
    letters = [(b"%d" % n, b"{", reasons(Reason.INVALID_JSON, 2, n)) for n in range(600)]
    await dlq.write(dlq.names.dead_letters, 0, *letters)
    settings, selection = load_settings(dlq.settings), Selection()
    found = await find(settings, selection)

    async def up_to(most: int) -> AsyncGenerator[Resubmission, None]:
        count = 0
        async with aclosing(resubmissions(settings, selection, found, Correction(), ())) as events:
            async for one in events:
                if count == most:
                    raise _KilledError
                count += 1
                yield one

    async with open_replayer(settings) as killed:
        with pytest.raises(_KilledError):
            async with aclosing(up_to(550)) as events:
                await killed.send(events)
        async with asyncio.timeout(60):  # brokers write commit markers a moment later
            while (left_out := (await find(settings, selection)).left_out) == 0:
                await asyncio.sleep(0.1)
        assert left_out == 500
        assert sum(map(len, (await sent(dlq)).values())) == 500
        done = dlq.run("replay", "--all", "--yes")
        assert done.stdout == "Re-submitted 100 dead letters.\n", done.stderr
        with pytest.raises(ReadError, match="another `dedup dlq replay` has begun"):
            async with aclosing(up_to(1000)) as events:
                await killed.send(events)
    keys = [key for records in (await sent(dlq)).values() for key, _, _ in records]
    assert sorted(int(key or b"") for key in keys) == [*range(600)]


def cut(key: bytes, value: bytes, headers: list[AnyHeader], dlq: Dlq) -> Any:
    """Return the dead letter that a worker makes of the first event of partition 2."""
    added = dead_letter_headers(
        Why(Reason.INVALID_JSON, "bad"), topic=dlq.names.source, partition=2, offset=0
    )
    return tuple(fitting(key, value, headers, added, 2000))


async def test_a_truncated_event_is_read_from_its_source_or_refused(dlq: Dlq) -> None:
    value = b'{"a":"' + b"x" * 5000 + b'"}'
    headers: list[AnyHeader] = [("trace", b"abc")]
    await dlq.write(dlq.names.source, 2, (b"1", value, headers))
    await dlq.write(dlq.names.dead_letters, 0, cut(b"1", value, headers, dlq))
    shown = dlq.run("show", "0", "0")
    assert "of 5,008 bytes)" in shown.stdout
    assert dlq.listed()[0]["truncated"] == ["value"]
    assert dlq.run("replay", "0:0", "--set", "b=1", "--yes").returncode == 0
    assert dlq.run("replay", "0:0", "--yes").returncode == 0
    changed = value[:-1] + b',"b":1}'
    assert await sent(dlq) == {2: [(b"1", v, headers) for v in (value, changed, value)]}

    tp = TopicPartition(dlq.names.source, 2)
    async with admin(dlq.kafka) as client:
        await client.delete_records({tp: RecordsToDelete(before_offset=1)})
    refused = dlq.run("replay", "0:0", "--yes")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "The dead letter 0:0 was too large" in refused.stderr
    assert f"is no longer on {dlq.names.source} at 2:0" in refused.stderr


async def test_an_event_of_a_recreated_topic_is_not_taken_for_that_of_the_dead_letter(
    dlq: Dlq,
) -> None:
    await dlq.write(dlq.names.source, 2, (b"1", b"y" * 5000, []))
    await dlq.write(dlq.names.dead_letters, 0, cut(b"1", b"x" * 5000, [], dlq))
    assert "was too large" in dlq.run("replay", "0:0", "--yes").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--all", "--key", "1"),
        ("0:1", "0:2", "--value", __file__),
        ("0:1", "--value", "-"),
        ("0:1", "--value", "/nowhere/file"),
        ("0:1", "--set", "price"),
        ("0:1", "--set", "=1"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(cli, ["dlq", "replay", *arguments]).exit_code == 2
