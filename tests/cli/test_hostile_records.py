"""No record makes a command that reads end in a traceback, and no terminal, pipe or locale does."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner

from dedup.cli import cli
from dedup.core.decide import Outcome
from tests.cli.topics import Topics
from tests.support.administration import alter
from tests.support.records import event
from tests.support.topics import wait_until_done
from tests.support.workers import Names, WorkerProcess

NOW_MS = 1_790_000_000_000
TIMES = (-1, 0, 1, NOW_MS, NOW_MS * 1000, NOW_MS * 1_000_000, 2**62)
"""Of a record: none, the epoch, milliseconds, and microseconds or nanoseconds taken for them."""

TEXTS = (
    "Größe → ✔ 価格 😀",
    "\x1b[2J\x07\r\n\t\x00",
    "\u202eevil",
    "[red]no[/] :smile:",
    "x" * 3_000,
)
BYTES = (None, b"", b"\xff\xfe\x00", b"\x1b[2J", "ключ→".encode(), b"7" * 5_000, b'{"product_id":')
DEEP = b"[" * 3_000 + b"]" * 3_000
NAMES = (
    *("dedup.state", "dedup.source", "dedup.event_time", "dedup.fingerprint", "dedup.rules"),
    "schlüssel→",
)
LETTER = ("__streams.errors.partition", "__streams.errors.offset", "dedup.errors.reason")
PACKED = (b"\x01" * 46, b"\x01" + b"\xff" * 45, b"\x02" * 46, b"\x01" * 45)
NUMBERS = (b"1/2", b"0", b"-1/-1", b"9" * 5_000, b"1" * 30, b"99999999999/7", b"{}", b"[1]")


@pytest.fixture(scope="module")
def topics(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Topics:
    """Topics with hostile records, of which a worker has done all it could."""
    return asyncio.run(filled(kafka, tmp_path_factory.mktemp("hostile")))


async def filled(kafka: str, directory: Path) -> Topics:
    topics = Topics(kafka, Names.fresh())
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka, **topics.names.settings}
    topics.run("topics", "create")
    await take_any_time(topics)
    random = Random(3)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        sent: list[Any] = []

        async def write(topic: str, key: Any, value: Any, headers: Any) -> None:
            batch = producer.create_batch()
            time = random.choice(TIMES)
            appended = batch.append(key=key, value=value, timestamp=time, headers=headers)
            assert appended is not None
            sent.append(await producer.send_batch(batch, topic, partition=random.randrange(4)))

        for number in range(150):
            await write(topics.names.source, *hostile_event(random, number % 50))
        await asyncio.gather(*sent)
        with WorkerProcess(kafka, directory / "state", settings) as worker:
            worker.wait_until_ready()
            await wait_until_done(kafka, topics.names)
            assert worker.terminate() == 0
        for _ in range(100):
            await write(topics.names.states, *hostile_row(random))
            await write(topics.names.dead_letters, *hostile_letter(random))
        # A compacted topic refuses a record without a key.
        await asyncio.gather(*sent, return_exceptions=True)
    return topics


async def take_any_time(topics: Topics) -> None:
    """Let the topics take records of any time; Kafka 4 refuses those an hour ahead by default."""
    for topic, policy in (
        (topics.names.source, "delete"),
        (topics.names.states, "compact"),
        (topics.names.dead_letters, "delete"),
    ):
        await alter(
            topics.kafka,
            topic,
            cleanup_policy=policy,
            retention_ms="-1",
            message_timestamp_after_max_ms=str(2**63 - 1),
        )


def headers_of(random: Random, names: tuple[str, ...]) -> list[tuple[str, bytes | None]]:
    some = random.sample(names, random.randrange(len(names) + 1))
    return [(name, random.choice([*BYTES, *NUMBERS, *PACKED])) for name in some]


def hostile_event(random: Random, number: int) -> tuple[Any, Any, Any]:
    value: bytes | None = event(
        1 + random.randrange(9), number=number, product_name=random.choice(TEXTS)[:200]
    )
    if random.random() < 0.5:
        text = random.choice(TEXTS)
        value = event(
            1 + random.randrange(9),
            number=number,
            description=text,
            action=random.choice(["updated", "deleted", text]),
        )
    value = random.choice([value, value, value, *BYTES, DEEP, b'{"a":%s}' % (b"9" * 5_000)])
    try:
        key: bytes | None = b"%d" % json.loads(value or b"")["product"]["product_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        key = random.choice([*BYTES, b"3"])
    return key, value, headers_of(random, NAMES)


def hostile_row(random: Random) -> tuple[Any, Any, Any]:
    key = random.choice([*BYTES, b'{"product_id":3}', b"4", b'{"product_id":5}'])
    row = {"product_id": 3, "product_name": random.choice(TEXTS)[:200], "price": "1.00"}
    deep: Any = []
    for _ in range(600):
        deep = [deep]
    extra = random.choice([{}, {"more": 10**4_000}, {"more": deep}, {"last_event_id": 7}])
    value = random.choice(
        [*BYTES, DEEP, json.dumps(row | extra).encode(), json.dumps(row).encode()]
    )
    return key, value, headers_of(random, NAMES)


def hostile_letter(random: Random) -> tuple[Any, Any, Any]:
    return random.choice(BYTES), random.choice([*BYTES, DEEP]), headers_of(random, LETTER + NAMES)


READING: tuple[list[str], ...] = (
    ["stats"],
    ["verify"],
    ["tail", "--from-beginning", "--until-end"],
    ["tail", "--from-beginning", "--until-end", "--rows"],
    ["inspect", "3"],
    ["inspect", "4"],
    ["dlq", "list"],
    ["dlq", "show", "0", "0"],
    ["topics", "check"],
    ["config", "show"],
)
EXIT_CODES = {"verify": {3}, "inspect": {0}, "stats": {0}, "tail": {0}}


@pytest.mark.parametrize(
    ("form", "charset"), [([], "latin-1"), ([], "ascii"), (["--json"], "utf-8")], ids=str
)
@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_every_reading_command_prints_hostile_records(
    topics: Topics, command: list[str], form: list[str], charset: str
) -> None:
    with ThreadPoolExecutor(1) as thread:
        runner = CliRunner(charset=charset)
        environ = dict.fromkeys(n for n in os.environ if n.startswith(("DEDUP_", "KAFKA_")))
        ours = {"KAFKA_BOOTSTRAP_SERVERS": topics.kafka, **topics.names.settings}
        result = thread.submit(runner.invoke, cli, [*command, *form], env=environ | ours).result()
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code in EXIT_CODES.get(command[0], {0}), result.output
    assert "Traceback" not in result.output
    assert "\x1b" not in result.stdout, "what a terminal would obey is escaped"
    if form:
        lines = result.stdout.splitlines()
        assert all(json.loads(line) is not None for line in lines)


def test_no_hostile_event_is_missing_from_the_output(topics: Topics) -> None:
    counted = topics.json_of("stats")["deduplication_stats"]
    assert counted["total_events"] == 150
    assert sum(counted["outcomes"].values()) == 150
    assert counted["outcomes"].keys() == set(Outcome)
    lines = topics.run("tail", "--from-beginning", "--until-end", "--json").splitlines()
    assert len(lines) == 150


def environ_of(topics: Topics, **others: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DEDUP_", "KAFKA_", "LC_"))}
    return {
        **{k: v for k, v in kept.items() if k not in ("LANG", "PYTHONIOENCODING", "PYTHONUTF8")},
        "KAFKA_BOOTSTRAP_SERVERS": topics.kafka,
        **topics.names.settings,
        **others,
    }


COMMAND = [sys.executable, "-c", "from dedup.cli import cli; cli()"]
ALL = ["tail", "--from-beginning", "--until-end"]


@pytest.mark.parametrize(
    "locale",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
@pytest.mark.parametrize("command", [["verify"], ALL, ["inspect", "3"]], ids=" ".join)
def test_a_locale_without_the_characters_stops_no_command(
    topics: Topics, command: list[str], locale: dict[str, str]
) -> None:
    done = subprocess.run(
        [*COMMAND, *command], env=environ_of(topics, **locale), capture_output=True, check=False
    )
    assert done.returncode == (3 if command == ["verify"] else 0), done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", [ALL, [*ALL, "--rows"], ["verify"]], ids=" ".join)
def test_a_closed_pipe_ends_a_command_without_a_message(topics: Topics, command: list[str]) -> None:
    """The exit code is that of a program which SIGPIPE ends; nothing but what it says of itself."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, *command],
        env=environ_of(topics),
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert done.returncode == 141, done.stderr.decode()
    assert (
        done.stderr.decode()
        .replace(f"Following {topics.names.source}\n", "")
        .replace(f"Following {topics.names.states}\n", "")
        == ""
    )


@pytest.mark.parametrize("command", [["stats"], ["dlq", "list"], ["inspect", "3"]], ids=" ".join)
def test_a_narrow_terminal_stops_no_command(topics: Topics, command: list[str]) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *command],
        env=environ_of(topics, COLUMNS="12", LINES="5", PYTHONIOENCODING="utf-8"),
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    said = b""
    try:
        while some := os.read(ours, 65_536):
            said += some
    except OSError:  # the other end is closed: how a terminal says that it is over
        pass
    os.close(ours)
    assert process.wait(60) == 0, said
    assert said
