"""No pod of the manifests gets the variables that Kubernetes adds for Services.

A Service named `dedup` would give a worker unknown DEDUP_* variables, which end its start; one
named `kafka` gives a broker of the Kafka images KAFKA_PORT.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "deploy" / "k8s"


def pods(found: Any) -> Iterator[dict[str, Any]]:
    """Return every specification of a pod in a document."""
    if isinstance(found, dict):
        if "containers" in found:
            yield found
        for value in found.values():
            yield from pods(value)
    elif isinstance(found, list):
        for value in found:
            yield from pods(value)


FILES = [
    path
    for path in sorted(MANIFESTS.rglob("*.yaml"))
    if "containers:" in path.read_text("utf-8") and "credentials" not in path.name  # patches
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_a_pod_gets_no_variables_of_services(path: Path) -> None:
    documents = yaml.safe_load_all(path.read_text("utf-8"))
    for pod in pods(list(documents)):
        assert pod.get("enableServiceLinks") is False


def test_all_pods_are_looked_at() -> None:
    found = [pod for path in FILES for pod in pods(list(yaml.safe_load_all(path.read_text())))]
    assert len(found) >= 6
