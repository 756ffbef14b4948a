"""`dedup dlq` on a real broker: dead letters of a worker, and others written by the test."""

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dedup.cli import cli
from dedup.core.dead_letter import Header, Reason
from dedup.core.printable import printable
from dedup.dlq.record import DeadLetterRecord
from dedup.localkafka.ports import free_port
from tests.cli.dead_letters import Dlq, Record, reasons, until
from tests.support.records import event
from tests.support.topics import partition_of
from tests.support.workers import WorkerProcess

HOSTILE = b"\x1b[31m[red]\xff\xe2\x80\xae\x00"
TRACE: Header = ("trace", b"abc")


def test_bytes_are_escaped_for_a_terminal() -> None:
    assert printable(HOSTILE) == r"\x1b[31m[red]\xff\u202e\x00"
    assert printable("Käse 😀".encode()) == "Käse 😀"


def test_a_header_that_the_event_brought_along_does_not_pass_for_ours() -> None:
    forged: Header = ("dedup.errors.reason", b"forged")
    letter = DeadLetterRecord(
        0, 1, 0, b"1", b"", (TRACE, forged, *reasons(Reason.KEY_MISMATCH, 2, 41))
    )
    assert letter.reason == "key_mismatch"
    assert (letter.source_topic, letter.source_partition, letter.source_offset) == (
        "products",
        2,
        41,
    )
    assert letter.original_headers == [TRACE, forged]


def test_a_record_of_another_program_has_no_reason_and_no_source() -> None:
    letter = DeadLetterRecord(0, 1, 0, None, None, (("__streams.errors.partition", b"-1"),))
    assert (letter.reason, letter.source_partition) == ("", None)


async def test_a_partial_event_is_applied_when_replayed_after_its_product_came(
    kafka: str, tmp_path: Path
) -> None:
    """And a keyless one, which nothing has repaired, comes back."""
    dlq = Dlq(kafka)
    whole = json.loads(event(5, number=1))
    partial = json.loads(event(5, number=9))
    partial["product"] = {"product_id": 5, "price": "77.00"}
    early: Record = (b"5", json.dumps(partial).encode(), [TRACE])
    keyless: Record = (None, event(6), [])
    home = partition_of(b"5")
    with WorkerProcess(kafka, tmp_path / "state", dlq.names.settings) as worker:
        worker.wait_until_ready()
        await dlq.write(dlq.names.source, home, early)
        await dlq.write(dlq.names.source, 2, keyless)
        await until(worker, 'dedup_events_total{outcome="dead_letter",strategy="latest"}', 2)
        assert {found["reason"] for found in dlq.listed()} == {
            "partial_without_state",
            "key_missing",
        }
        (found,) = dlq.listed("--reason", "partial_without_state")
        assert found["source"] == {"topic": dlq.names.source, "partition": home, "offset": 0}

        await dlq.write(dlq.names.source, home, (b"5", json.dumps(whole).encode(), []))
        await until(worker, 'dedup_events_total{outcome="change",strategy="latest"}', 1)
        done = dlq.run("replay", f"{found['partition']}:{found['offset']}", "--yes")
        assert (done.returncode, done.stdout) == (0, "Re-submitted 1 dead letter.\n")
        await until(worker, 'dedup_events_total{outcome="change",strategy="latest"}', 2)

        done = dlq.run("replay", "--reason", "key_missing", "--yes", "--json")
        assert json.loads(done.stdout) == {"replayed": 1}
        await until(worker, 'dedup_events_total{outcome="dead_letter",strategy="latest"}', 3)

    source = await dlq.read(dlq.names.source)
    assert source[home].count(early) == 2
    assert source[2].count(keyless) == 2
    states = [r for rs in (await dlq.read(dlq.names.states)).values() for r in rs]
    row = json.loads(states[-1][1] or b"")
    assert (row["price"], row["product_name"]) == ("77.00", "Product 5")
    assert len(dlq.listed("--reason", "key_missing")) == 2


async def test_the_newest_dead_letters_are_listed_a_line_each(dlq: Dlq) -> None:
    for number in range(5):
        record: Record = (b"%d" % number, HOSTILE, reasons(Reason.INVALID_JSON, 1, number))
        await dlq.write(dlq.names.dead_letters, number % 2, record)
    await dlq.write(dlq.names.dead_letters, 3, (None, None, reasons(Reason.KEY_MISSING, 3, 7)))

    done = dlq.run("list", "--limit", "2")
    assert done.returncode == 0
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["position", "reason", "source", "time", "(UTC)", "key", "message"]
    assert [line.split()[0] for line in lines] == ["0:2", "3:0"]
    assert "It is key_missing." in lines[1]
    assert done.stderr == "The newest 2 of 6; --limit shows more.\n"
    assert [found["source"]["offset"] for found in dlq.listed("--reason", "invalid_json")] == [
        *range(5)
    ]


async def test_a_dead_letter_is_shown_completely_and_escaped(dlq: Dlq) -> None:
    await dlq.write(dlq.names.dead_letters, 1, (b"1", b"first", []))
    headers = [("trace", HOSTILE), *reasons(Reason.INVALID_JSON, 2, 41)]
    await dlq.write(dlq.names.dead_letters, 1, (HOSTILE, HOSTILE, headers))

    done = dlq.run("show", "1", "1")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert done.stdout.count(r"\x1b[31m[red]\xff\u202e\x00") == 3
    for words in ("reason    invalid_json", "source    products 2:41", "header    trace="):
        assert words in done.stdout
    found = json.loads(dlq.run("show", "1", "1", "--json").stdout)
    assert base64.b64decode(found["value_base64"]) == HOSTILE
    assert base64.b64decode(found["key_base64"]) == HOSTILE


async def test_all_dead_letters_are_replayed_byte_by_byte_and_once(dlq: Dlq) -> None:
    """More than are sent at once; deletes, empty values and records of nothing among them."""
    letters: dict[int, list[Record]] = {p: [] for p in range(4)}
    for number in range(300):
        key = b"%d" % number
        letters[partition_of(key)].append((key, [None, b"", HOSTILE][number % 3], [TRACE]))
    letters[3] += [(None, None, []), (None, b"keyless", [TRACE, TRACE])] * 400
    for partition, records in letters.items():
        added = [(k, v, [*h, *reasons(Reason.INVALID_JSON, partition)]) for k, v, h in records]
        await dlq.write(dlq.names.dead_letters, (partition + 1) % 4, *added)

    done = dlq.run("replay", "--all", "--yes")
    assert (done.returncode, done.stdout) == (0, "Re-submitted 1,100 dead letters.\n"), done.stderr
    assert await dlq.read(dlq.names.source) == letters


async def test_nothing_is_sent_without_a_yes_or_if_a_dead_letter_is_missing(dlq: Dlq) -> None:
    await dlq.write(dlq.names.dead_letters, 0, (b"1", b"{", reasons(Reason.INVALID_JSON)))

    asked = dlq.run("replay", "--all")
    assert (asked.returncode, asked.stdout.strip()) == (1, "")  # click writes a space there
    assert "Re-submit 1 dead letter? [y/N]" in asked.stderr
    missing = dlq.run("replay", "0:0", "0:1", "9:0", "--yes")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("Error: There is no dead letter at 0:1, 9:0.")
    shown = dlq.run("show", "0", "1")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("Error: There is no dead letter at 0:1.")
    assert not any((await dlq.read(dlq.names.source)).values())


async def test_without_dead_letters_nothing_is_printed_and_that_is_not_a_failure(dlq: Dlq) -> None:
    done = dlq.run("list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "There are no dead letters.\n")
    done = dlq.run("replay", "--all")
    assert (done.returncode, done.stdout) == (0, "Re-submitted 0 dead letters.\n")


def test_what_can_t_be_read_is_one_error_line_and_exit_1(kafka: str) -> None:
    dlq = Dlq(kafka)
    servers = f"127.0.0.1:{free_port()}"
    for changed, sentence in (
        ({}, f"Error: There is no topic KAFKA_DLQ_TOPIC={dlq.names.dead_letters}"),
        ({"KAFKA_BOOTSTRAP_SERVERS": servers}, f"Error: No broker answers at {servers}"),
        ({"DEDUP_PARTITIONS": "many"}, "Error: DEDUP_PARTITIONS=many is not accepted"),
    ):
        done = dlq.run("list", **changed)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(sentence)
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("replay", "--all", "--reason", "invalid_json"),
        ("replay", "0:1", "--all"),
        ("replay", "17"),
        ("replay", "0:x"),
        ("list", "--limit", "0"),
        ("list", "--reason", "bad_luck"),
        ("show", "0"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(cli, ["dlq", *arguments]).exit_code == 2


@pytest.mark.parametrize("command", ["list", "show", "replay"])
def test_each_command_explains_itself_with_examples_and_exit_codes(command: str) -> None:
    output = CliRunner().invoke(cli, ["dlq", command, "--help"]).output
    for words in ("Examples:", f"dedup dlq {command}", "Exit codes:", "--json"):
        assert words in output


def test_help_says_what_a_replay_does_not_repair() -> None:
    output = " ".join(CliRunner().invoke(cli, ["dlq", "replay", "--help"]).output.split())
    assert "such as an event without a key, is a dead letter again" in output
