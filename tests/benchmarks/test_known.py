"""Passes over known products: a figure counts only if the output of every pass is right."""

import shutil

import pytest

from benchmarks.__main__ import chosen
from benchmarks.clock import RunFailedError
from benchmarks.known import KnownProducts
from dedup.localkafka import LocalKafka
from producer.events import GeneratedEvent, Mix
from tests.support.topics import read_topic

MIX = Mix(products=500, duplicates=0.3, deletes=0.0)
EVENTS = 30_000
(RAW,) = chosen(["raw-aiokafka"])


def keys(passes: list[list[GeneratedEvent]]) -> set[bytes]:
    """The keys of events."""
    return {event.key for events in passes for event in events if event.key}


async def test_every_pass_finds_each_product_known(kafka: LocalKafka) -> None:
    async with KnownProducts.opened(kafka, RAW, MIX, 1) as known:
        passes = await known.produce(EVENTS, passes=2)
        filled = await known.fill(keys(passes))
        for events in passes:
            figures = await known.measured_pass(events)
            assert 0.6 * EVENTS < figures.records < 0.8 * EVENTS
            assert figures.peak_rss_mib >= filled["peak_rss_mib"]
        source = await read_topic(kafka.bootstrap_servers, known.run.source)
        assert sum(map(len, source.values())) == MIX.products + 2 * EVENTS
    assert not known.run.directory.exists()


async def test_a_pass_of_a_worker_that_forgot_has_no_figure(kafka: LocalKafka) -> None:
    """It emits what it should know: the first duplicate of a product as a change."""
    async with KnownProducts.opened(kafka, RAW, MIX, 2) as known:
        passes = await known.produce(EVENTS, passes=1)
        await known.fill(keys(passes))
        for path in known.run.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        with pytest.raises(RunFailedError, match="the output is wrong"):
            await known.measured_pass(passes[0])
