"""Where does the worker's time go? `make bench-flame`.

A worker reads events that all stand there already, so it is in full work, and py-spy looks at it a
few hundred times a second, twice: once at what holds Python's lock - one thread at a time, so that
is the limit of a process - and once at all that runs, for the flame graph. The shares are of the
samples with the lock; each counts for the innermost part of its stack that `PARTS` names. Without a
lock are RocksDB's own threads, the kernel's work on sockets and files, and waiting.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from benchmarks.report import RESULTS, command_text, machine, today, write_result
from benchmarks.rounds import say
from benchmarks.workload import fill
from dedup.localkafka import OPTIMISED, LocalKafka
from producer.events import EventGenerator, Mix
from tests.support.workers import Names, WorkerProcess

SAMPLES_PER_S: Final = 250

PARTS: Final[Mapping[str, Sequence[str]]] = {
    "decide: recognise, fingerprint, rules": ("decide_batch (dedup/core/batch.py",),
    "the processor around it": (
        "_decide (dedup/streaming/processor.py",
        "_named (dedup/streaming/processor.py",
    ),
    "known states: in memory, from RocksDB": (
        "in_memory (dedup/state/store.py",
        "fetch (dedup/state/store.py",
    ),
    "write states to RocksDB": (
        "write (dedup/state/store.py",
        "flush (dedup/state/store.py",
    ),
    "append rows to record batches": ("append_states (dedup/streaming/appending.py",),
    "count and keep for metrics and pages": ("observe (dedup/observability/observers.py",),
    "decode fetched records": ("take_unread (dedup/kafka/unread_records.py",),
}
CLIENT: Final = "the rest of aiokafka: protocol, connections, transactions"
OTHER: Final = "all else: asyncio, Faust"


def part_of(stack: str) -> str:
    """Return the part that the innermost named frame of a stack belongs to.

    A stack is py-spy's: frames from the outermost to the innermost, between semicolons.
    """
    for frame in reversed(stack.split(";")):
        for part, signs in PARTS.items():
            if any(sign in frame for sign in signs):
                return part
    return CLIENT if "aiokafka/" in stack else OTHER


def shares(raw: Iterable[str]) -> dict[str, float]:
    """Return the share of each part in py-spy's raw samples, largest first."""
    samples: Counter[str] = Counter()
    for line in raw:
        stack, _, number = line.rpartition(" ")
        samples[part_of(stack)] += int(number)
    total = samples.total()
    return {part: round(number / total, 4) for part, number in samples.most_common()}


def _spy(worker: WorkerProcess, seconds: int, path: Path, *options: str) -> None:
    """Let py-spy look; the flame graph's title is its command, so no directory is in that."""
    beside_python = Path(sys.executable).parent
    asked = {"pid": worker.process.pid, "duration": seconds, "rate": SAMPLES_PER_S}
    named = [text for name, value in asked.items() for text in (f"--{name}", str(value))]
    subprocess.run(  # noqa: S603 - of our own environment
        ["py-spy", "record", *named, "--output", path.name, *options],  # noqa: S607 - the same
        cwd=path.parent,
        env={"PATH": str(beside_python)},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def run(events: int, seconds: int, picture: Path) -> dict[str, Any]:
    """Look at a worker; gives what the result file holds, and writes the flame graph."""
    about = machine()
    names = Names.fresh()
    with (
        LocalKafka(jvm_options=OPTIMISED) as kafka,
        tempfile.TemporaryDirectory(prefix="flame-") as directory,
    ):
        say(f"Producing {events:,} events")
        generator = EventGenerator(1, lambda: datetime.now(UTC), Mix(products=20_000, deletes=0.0))
        asyncio.run(fill(kafka.bootstrap_servers, names.source, islice(generator, events)))
        raw = Path(directory) / "raw"
        state = Path(directory) / "state"
        with WorkerProcess(kafka.bootstrap_servers, state, names.settings) as worker:
            worker.wait_until_ready()
            _spy(worker, seconds, raw, "--gil", "--format", "raw")
            _spy(worker, seconds, picture, "--format", "flamegraph", "--nolineno")
            worker.terminate()
        lines = raw.read_text().splitlines()
    held = sum(int(line.rpartition(" ")[2]) for line in lines) / (SAMPLES_PER_S * seconds)
    return {
        "kind": "flame",
        "what": "share of the time with Python's lock, of one worker (exactly_once) in full work",
        "command": command_text("benchmarks.flame"),
        "date": today(),
        "machine": about,
        "conditions": f"{seconds} s of one worker in full work",
        "lock_held": round(held, 3),
        "shares": shares(lines),
    }


def markdown(result: Mapping[str, Any]) -> str:
    """Return the table of the shares."""
    lines = ["| part | share of the time with Python's lock |", "|---|---|"]
    lines += [f"| {part} | {share:.1%} |" for part, share in result["shares"].items()]
    held = f"Some thread of the worker held the lock in {result['lock_held']:.0%} of the samples."
    return "\n".join([*lines, "", held]) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Look, write the result files and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=6, help="of each of the two looks")
    parser.add_argument("--name", default=f"{today()}-flame", help="of the result files")
    arguments = parser.parse_args(argv)
    result = run(arguments.events, arguments.seconds, RESULTS / f"{arguments.name}.svg")
    write_result(arguments.name, result, markdown(result))


if __name__ == "__main__":
    main()
