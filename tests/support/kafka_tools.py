"""Kafka's own command-line tools, as an operator runs them."""

import re
import subprocess

from dedup.localkafka.jars import _download, _Jar, cache_dir, kafka_version
from dedup.localkafka.startup import java_command
from tests.support.workers import Names

TOOLS = _Jar(
    "org.apache.kafka",
    "kafka-tools",
    kafka_version(),
    "cb7aedcd2e418b86079c4b35257c8e37800eea84723c78c8b90f535bd589888e",
)
"""What the broker itself does not need."""

GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
LEADERS = "org.apache.kafka.tools.LeaderElectionCommand"
QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand"
REASSIGNMENTS = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
SETTINGS = "kafka.admin.ConfigCommand"


def run_tool(tool: str, bootstrap_servers: str, *arguments: str) -> str:
    """Run a tool and return what it prints. Raises CalledProcessError."""
    cache = cache_dir()
    _download([] if (cache / TOOLS.filename).exists() else [TOOLS], cache)
    java = java_command()
    java[java.index("-cp") + 1] += f":{cache / TOOLS.filename}"
    command = [*java, tool, "--bootstrap-server", bootstrap_servers, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def committed_and_lag(bootstrap_servers: str, names: Names) -> dict[int, tuple[str, str, str]]:
    """Return committed offset, end and lag of each partition, without our code."""
    printed = run_tool(GROUPS, bootstrap_servers, "--group", names.group, "--describe")
    line = rf"^{names.group} +{names.source} +(\d+) +(\S+) +(\S+) +(\S+)"
    lines = re.findall(line, printed, re.MULTILINE)
    assert lines, printed
    return {int(partition): (offset, end, lag) for partition, offset, end, lag in lines}
