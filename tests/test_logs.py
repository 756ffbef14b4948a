"""What the log's filter makes of what libraries say, with a clock of its own."""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NotEnoughReplicasError,
    RequestTimedOutError,
)

from dedup.kafka.reconnecting import brokers
from dedup.observability import outages
from dedup.observability.logs import JsonLines
from dedup.observability.outages import RepeatFilter

CLIENT = "aiokafka.client"
SENDER = "aiokafka.producer.sender"


class Log:
    """A handler with the filter: what is shown, and a clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.shown: list[tuple[str, str]] = []
        handler = logging.Handler()
        handler.addFilter(RepeatFilter(lambda: self.now))
        handler.emit = self._emit  # type: ignore[method-assign] # a handler is one method
        self.handler = handler

    def _emit(self, record: logging.LogRecord) -> None:
        self.shown.append((record.levelname, record.getMessage()))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.shown
            time.sleep(0.02)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    monkeypatch.setattr(outages, "_TICK_S", 0.02)
    monkeypatch.setattr(brokers, "answered_at", 0.0)
    log = Log()
    logging.getLogger().addHandler(log.handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.INFO)
    yield log
    logging.getLogger().setLevel(level)
    logging.getLogger().removeHandler(log.handler)


def fail_to_connect(times: int) -> None:
    error = KafkaConnectionError("refused")
    for _ in range(times):
        logging.getLogger(CLIENT).error("Unable connect to node with id %s: %s", 1, error)


def test_an_outage_is_told_once_then_each_minute_and_its_end(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_to_connect(5_000)
    assert log.shown == []
    log.now += 2
    log.wait_for(lambda: len(log.shown) == 1)
    level, text = log.shown[0]
    assert level == "WARNING"
    assert "do not serve since" in text
    assert "Unable connect to node with id 1" in text
    fail_to_connect(5_000)
    log.now += 60
    log.wait_for(lambda: len(log.shown) == 2)
    assert log.shown[1][0] == "WARNING"
    assert "for 62 s" in log.shown[1][1]
    assert "10,000 failures" in log.shown[1][1]
    fail_to_connect(1)
    monkeypatch.setattr(brokers, "answered_at", log.now + 1)
    log.now += 4
    log.wait_for(lambda: len(log.shown) == 3)
    assert log.shown[2][0] == "INFO"
    assert "serve again, after 62.0 s" in log.shown[2][1]


def test_what_is_over_at_once_is_no_warning_and_not_lost(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger(SENDER).warning("Could not send %r: %r", "x", RequestTimedOutError())
    monkeypatch.setattr(brokers, "answered_at", log.now + 0.1)
    log.now += 4
    log.wait_for(lambda: len(log.shown) == 1)
    assert log.shown[0][0] == "INFO"
    assert "RequestTimedOutError" in log.shown[0][1]


def test_a_broker_that_restarts_beside_others_is_no_warning(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "unreachable", {"kafka-2:9092"})
    monkeypatch.setattr(brokers, "answered_at", log.now + 8)
    fail_to_connect(1)
    log.now += 8
    fail_to_connect(1)
    time.sleep(0.2)  # ten looks
    assert log.shown == []
    monkeypatch.setattr(brokers, "answered_at", log.now + 4)
    log.now += 4
    log.wait_for(lambda: len(log.shown) == 1)
    assert log.shown[0][0] == "INFO"
    assert "serve again" in log.shown[0][1]


@pytest.mark.parametrize(
    ("unreachable", "said"),
    [
        ({"kafka-2:9092"}, "Some Kafka brokers do not serve since "),
        (set(), "The Kafka brokers do not serve all partitions since "),
    ],
)
def test_what_stays_away_while_others_answer_is_a_warning(
    log: Log, monkeypatch: pytest.MonkeyPatch, unreachable: set[str], said: str
) -> None:
    monkeypatch.setattr(brokers, "unreachable", unreachable)
    monkeypatch.setattr(brokers, "answered_at", log.now + 11)
    fail_to_connect(1)
    log.now += 11
    fail_to_connect(1)
    log.wait_for(lambda: len(log.shown) == 1)
    level, text = log.shown[0]
    assert level == "WARNING"
    assert text.startswith(said)
    assert ("unreachable: kafka-2:9092" in text) == bool(unreachable)


def test_an_unknown_error_is_shown_and_then_counted(log: Log) -> None:
    """A real NotEnoughReplicas too: that the brokers can't keep what is sent is no outage."""
    for number in range(500):
        logging.getLogger(SENDER).warning("Retry %s: %s", number, NotEnoughReplicasError)
    assert [text.split(":")[0] for _, text in log.shown] == ["Retry 0"]
    log.now += 60
    log.wait_for(lambda: len(log.shown) == 2)
    level, text = log.shown[1]
    assert level == "WARNING"
    assert "499 more times in 60 s" in text
    assert "Retry 499" in text


def test_our_own_lines_are_told_apart_by_what_they_say(log: Log) -> None:
    for partition in (0, 1, 1):
        logging.getLogger("dedup.streaming").warning("%s ends too early", partition)
    assert [text for _, text in log.shown] == ["0 ends too early", "1 ends too early"]


@pytest.mark.parametrize(
    ("logger", "level", "text"),
    [
        ("mode.services", logging.CRITICAL, "Giving up: %r"),
        ("dedup.streaming.application", logging.CRITICAL, "%r"),
    ],
)
def test_what_ends_the_process_is_always_shown(
    log: Log, logger: str, level: int, text: str
) -> None:
    for _ in range(2):
        logging.getLogger(logger).log(level, text, KafkaConnectionError())
    assert len(log.shown) == 2


def test_what_falls_over_is_shown(log: Log) -> None:
    """But for what falls over inside the client for want of a broker: it is of the outage."""
    away = KafkaConnectionError()
    wrapped = KafkaError("Unexpected error during batch delivery")
    wrapped.__cause__ = away
    text = "Unexpected error in sender routine"
    logging.getLogger(SENDER).error(text, exc_info=away)
    logging.getLogger(SENDER).error(text, exc_info=wrapped)
    assert log.shown == []
    logging.getLogger(SENDER).error(text, exc_info=AssertionError())
    logging.getLogger("mode.services").error("Crashed reason=%r", away, exc_info=away)
    assert len(log.shown) == 2


def test_a_rebalance_is_no_warning(log: Log) -> None:
    text = "Heartbeat failed for group %s because it is rebalancing"
    logging.getLogger("aiokafka.consumer.group_coordinator").warning(text, "g")
    assert [level for level, _ in log.shown] == ["INFO"]


def test_what_is_written_past_the_log_is_a_json_object_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = StringIO()
    stream = JsonLines(out, "stderr", logging.ERROR)
    monkeypatch.setattr(sys, "stderr", stream)
    print("one\n\ntwo", file=sys.stderr)  # noqa: T201 - what libraries do
    sys.stderr.write('"half')
    stream.finish()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["message"] for line in lines] == ["one", "two", '"half']
    assert {line["level"] for line in lines} == {"error"}
