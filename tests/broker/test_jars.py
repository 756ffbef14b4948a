"""The embedded broker's jars are fetched although the network fails for a moment."""

from pathlib import Path

import pytest

from dedup.localkafka import LocalKafkaError, jars
from dedup.localkafka.jars import _Jar, _resolved

JAR = _Jar("org.apache.kafka", "kafka-server", "4.1.2", "")


class Artifact:
    """An artifact that can't be fetched a number of times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def resolve(self) -> Path:
        self.failures -= 1
        if self.failures >= 0:
            raise OSError("Temporary failure in name resolution")
        return Path("kafka-server-4.1.2.jar")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_PAUSES_S", (0.0, 0.0))


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_a_fetch_is_tried_again(failures: int) -> None:
    assert _resolved(Artifact(failures), JAR) == Path("kafka-server-4.1.2.jar")


def test_a_fetch_that_keeps_failing_names_jar_and_reason() -> None:
    with pytest.raises(LocalKafkaError, match=r"kafka-server-4\.1\.2\.jar .*name resolution"):
        _resolved(Artifact(3), JAR)
