"""Kafka's own tool for consumer groups: what the lag is without our code."""

import re
import subprocess

from dedup.localkafka.broker import _java_command
from dedup.localkafka.jars import _download, _Jar, cache_dir, kafka_version
from tests.support.workers import Names

TOOLS = _Jar(
    "org.apache.kafka",
    "kafka-tools",
    kafka_version(),
    "cb7aedcd2e418b86079c4b35257c8e37800eea84723c78c8b90f535bd589888e",
)
"""What the broker itself does not need."""

GROUP_TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


def committed_and_lag(bootstrap_servers: str, names: Names) -> dict[int, tuple[str, str, str]]:
    """Committed offset, end and lag of each partition, as Kafka's own tool prints them."""
    cache = cache_dir()
    _download([] if (cache / TOOLS.filename).exists() else [TOOLS], cache)
    java = _java_command()
    classpath = java.index("-cp") + 1
    java[classpath] += f":{cache / TOOLS.filename}"
    asked = ["--bootstrap-server", bootstrap_servers, "--group", names.group, "--describe"]
    done = subprocess.run([*java, GROUP_TOOL, *asked], capture_output=True, text=True, check=True)
    line = rf"^{names.group} +{names.source} +(\d+) +(\S+) +(\S+) +(\S+)"
    lines = re.findall(line, done.stdout, re.MULTILINE)
    assert lines, done.stdout + done.stderr
    return {int(partition): (offset, end, lag) for partition, offset, end, lag in lines}
