"""Runs on a real broker: what they measure, what they refuse, and that they leave nothing."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.__main__ import chosen
from benchmarks.clock import RunFailedError
from benchmarks.contender import Command, Contender, CouldNotRunError
from benchmarks.contenders import CONTENDERS, build_kafka_streams
from benchmarks.foreign import in_other_forms
from benchmarks.measuring import measure
from benchmarks.micro import (
    CLOCK,
    CODEC,
    KEY,
    PURE,
    batches,
    event_bytes,
    other_producers_bytes,
    steps,
)
from benchmarks.workload import produce_workload
from dedup.core.codec import Codec
from dedup.localkafka import LocalKafka
from producer.events import Mix

EVENTS = 40_000
MIX = Mix(products=200, duplicates=0.3, late=0.05, deletes=0.05)
(RAW,) = chosen(["raw-aiokafka"])
(OURS,) = chosen(["ours-at-least-once"])
(FOREIGN,) = chosen(["ours-exactly-once-foreign"])


async def topics_of(kafka: LocalKafka) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        return {name for name in await admin.list_topics() if name.startswith("bench-")}
    finally:
        await admin.close()


def children() -> set[int]:
    """The processes that this one has started, and those that they have."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize("contender", [OURS, RAW], ids=lambda contender: contender.name)
async def test_a_run_with_the_right_output_has_figures_and_leaves_nothing(
    kafka: LocalKafka, contender: Contender
) -> None:
    servers = kafka.bootstrap_servers
    workload = await produce_workload(servers, EVENTS, MIX, 1)
    before = children()
    figures = await measure(contender, servers, kafka.pid, workload)
    assert figures.records == workload.expected_records
    assert figures.events_per_s > 0
    assert figures.peak_rss_mib > 0
    assert await topics_of(kafka) == set()
    assert children() == before


async def test_the_same_events_in_other_forms_are_judged_by_what_is_on_their_topic(
    kafka: LocalKafka,
) -> None:
    """The same emissions as of our own form, from other bytes."""
    servers = kafka.bootstrap_servers
    own = await produce_workload(servers, EVENTS, replace(MIX, late=0.0), 5)
    other = await in_other_forms(servers, own)
    assert other.topic != own.topic
    assert other.expected == own.expected
    assert {p: [r.key for r in of] for p, of in other.source.items()} == {
        p: [r.key for r in of] for p, of in own.source.items()
    }
    figures = await measure(FOREIGN, servers, kafka.pid, other)
    assert figures.records == own.expected_records


async def test_a_wrong_output_has_no_figure(kafka: LocalKafka) -> None:
    servers = kafka.bootstrap_servers
    workload = await produce_workload(servers, EVENTS, MIX, 2)
    product_id = next(iter(workload.expected))
    expected = {**workload.expected, product_id: [*workload.expected[product_id], None]}
    with pytest.raises(RunFailedError, match=f"1 faults, such as product {product_id}, "):
        await measure(RAW, servers, kafka.pid, replace(workload, expected=expected))


async def test_a_contender_that_ends_is_reported_with_its_last_words(kafka: LocalKafka) -> None:
    servers = kafka.bootstrap_servers
    workload = await produce_workload(servers, 100, MIX, 3)
    words = [sys.executable, "-c", "import sys; sys.exit('no such thing')"]
    ending = replace(RAW, commands=lambda run: [Command(words, run.environ())])
    with pytest.raises(RunFailedError, match=r"ended with 1: no such thing"):
        await measure(ending, servers, kafka.pid, workload)
    assert await topics_of(kafka) == set()


async def test_a_populated_workload_creates_every_product_first(kafka: LocalKafka) -> None:
    workload = await produce_workload(kafka.bootstrap_servers, 500, MIX, 4, populate=True)
    assert workload.populated == MIX.products
    assert workload.events == MIX.products + 500
    assert set(workload.expected) == set(range(1, MIX.products + 1))


def test_without_maven_kafka_streams_could_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CouldNotRunError, match="mvn is not on the PATH"):
        build_kafka_streams()


def test_names_are_chosen_by_their_beginnings_and_must_exist() -> None:
    assert [each.name for each in chosen(["quix"])] == ["quix-at-least-once", "quix-exactly-once"]
    assert [each.name for each in chosen(["ours-exactly-once"])] == ["ours-exactly-once"]
    assert chosen(None) == list(CONTENDERS)
    assert len({each.name for each in CONTENDERS}) == len(CONTENDERS)
    with pytest.raises(SystemExit, match="spark: there is none; there are ours-exactly-once, "):
        chosen(["spark"])


@pytest.mark.parametrize("codec", [CODEC, PURE])
def test_the_events_of_the_steps_are_taken_by_the_fast_path(codec: Codec) -> None:
    ours, theirs = event_bytes(10), other_producers_bytes(10)
    assert codec.recognise(KEY, ours, CLOCK.text) is not None
    assert codec.recognise(KEY, theirs, CLOCK.text) is not None
    assert not theirs.isascii()


def test_the_short_form_prints_every_step() -> None:
    command = [sys.executable, "-m", "benchmarks.micro", "--short"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = printed.splitlines()
    found = [re.fullmatch(r"(.+?) +[\d.]+ µs", line) for line in lines]
    assert [each and each[1] for each in found] == [*steps(), *batches()]
