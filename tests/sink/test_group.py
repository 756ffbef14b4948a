"""A sink whose group has members that are no sinks: share consumers, `group.protocol=consumer`."""

from collections.abc import Iterator

import pytest

from dedup.localkafka import LocalKafka
from dedup.sink.connecting import SinkError
from dedup.sink.consuming import run_sink
from tests.broker.newer_groups import member
from tests.sink.running import running, settings, table, until_equal
from tests.support.postgres import PostgresServer
from tests.support.rows import RandomTopic, make_topic, write

CONSUMER_SESSION_S = 3


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """A broker with share groups, where a consumer that is silent soon loses its partitions."""
    timeouts = {
        "group.consumer.min.session.timeout.ms": f"{CONSUMER_SESSION_S}000",
        "group.consumer.session.timeout.ms": f"{CONSUMER_SESSION_S}000",
        "group.consumer.min.heartbeat.interval.ms": "500",
        "group.consumer.heartbeat.interval.ms": "500",
    }
    with LocalKafka(properties=timeouts, format_options=["--feature", "share.version=1"]) as broker:
        yield broker.bootstrap_servers


def warnings_of_ours(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return our warnings, without those of aiokafka."""
    return [
        each.getMessage()
        for each in caplog.records
        if each.levelname == "WARNING" and each.name.startswith("dedup.")
    ]


async def test_a_share_group_is_refused_with_the_worker_s_words(
    kafka: str, postgres: PostgresServer
) -> None:
    own = settings(kafka, postgres, await make_topic(kafka))
    async with member(kafka, own.SINK_GROUP, own.KAFKA_SRC_PRODUCTS_TOPIC, "share"):
        with pytest.raises(SinkError) as refused:
            await run_sink(own)

    assert f"the group SINK_GROUP={own.SINK_GROUP} refuses this member: it has other" in str(
        refused.value
    )
    assert "set SINK_GROUP to a name of its own" in str(refused.value)


async def test_consumers_of_the_newer_protocol_are_reported_and_the_sink_takes_what_they_leave(
    kafka: str, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The brokers let both kinds share a group: nothing is refused, but the table lacks rows."""
    topic, history = await make_topic(kafka), RandomTopic(1)
    await write(kafka, topic, history.records(100))
    own = settings(kafka, postgres, topic)
    async with member(kafka, own.SINK_GROUP, topic, "consumer"), running(own):
        await until_equal(postgres, history.table)

    (warned,) = warnings_of_ours(caplog)
    assert f"SINK_GROUP={own.SINK_GROUP} is not that of a sink" in warned
    assert "Stop them, or set SINK_GROUP to a name of its own." in warned


async def test_a_group_of_sinks_is_not_reported(
    kafka: str, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    topic, history = await make_topic(kafka), RandomTopic(2)
    await write(kafka, topic, history.records(100))
    own = settings(kafka, postgres, topic)
    async with running(own):
        await until_equal(postgres, history.table)
        await run_sink(own, once=True)

    assert table(postgres) == history.table
    assert not warnings_of_ours(caplog)
