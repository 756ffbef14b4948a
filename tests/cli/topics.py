"""The topics of a test, and the commands run on them."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from dedup.cli import cli
from dedup.kafka.topics import ensure_topics
from dedup.settings import load_settings
from tests.support.topics import produce, wait_until_done
from tests.support.workers import Names, WorkerProcess


class Topics:
    """The topics of a test, and a command run on them with other settings if need be."""

    def __init__(self, kafka: str, names: Names) -> None:
        self.kafka = kafka
        self.names = names

    @classmethod
    async def made(cls, kafka: str) -> "Topics":
        topics = cls(kafka, Names.fresh())
        settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka, **topics.names.settings}
        await ensure_topics(load_settings(settings))
        return topics

    @classmethod
    async def worked_off(
        cls, kafka: str, data_dir: Path, records: Sequence[tuple[bytes | None, bytes | None]]
    ) -> "Topics":
        """Topics with these records, on which a worker did all there was to do."""
        topics = cls(kafka, Names.fresh())
        with WorkerProcess(kafka, data_dir, topics.names.settings) as worker:
            worker.wait_until_ready()
            await produce(kafka, records, topics.names.source)
            await wait_until_done(kafka, topics.names)
            assert worker.terminate() == 0
        return topics

    def invoke(self, *arguments: str, **settings: str) -> Result:
        """Run it in a thread: it has a loop of its own, and a test may be in one."""
        others = dict.fromkeys(n for n in os.environ if n.startswith(("DEDUP_", "KAFKA_")))
        ours = {"KAFKA_BOOTSTRAP_SERVERS": self.kafka, **self.names.settings, **settings}
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(CliRunner().invoke, cli, arguments, env=others | ours).result()

    def run(self, *arguments: str, **settings: str) -> str:
        result = self.invoke(*arguments, **settings)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json_of(self, *arguments: str, **settings: str) -> Any:
        return json.loads(self.run(*arguments, "--json", **settings))

    def faults(self, **settings: str) -> dict[str, tuple[int, int]]:
        """What `verify` finds: faults and rows not judged, by check; only those that have any."""
        result = self.invoke("verify", "--json", **settings)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        found = json.loads(result.stdout)
        assert result.exit_code == (0 if found["sound"] else 3)
        counts = {c["title"]: (c["faults"], c["not_judged"]) for c in found["checks"]}
        return {title: pair for title, pair in counts.items() if pair != (0, 0)}
