"""Writes the files for `kubectl apply -f` from the overlay for Confluent: `make manifests`.

They contain parts of `overlays/confluent` as built by kustomize: the topics or the producer alone.
"""

import sys
from pathlib import Path
from typing import Final

import yaml

HERE: Final = Path(__file__).parent
OVERLAY: Final = HERE / "overlays" / "confluent"

PARTS: Final = {
    "products-topic.yaml": (("KafkaTopic", ""),),
    "producer-pod.yaml": (
        ("ServiceAccount", ""),
        ("ConfigMap", "product-dedup-kafka-"),
        ("Pod", "product-dedup-producer"),
    ),
}
"""The resources of each file: kind and prefix of the name."""


def files(built: str) -> dict[str, str]:
    """Return the text of each file, given the output of `kustomize build` for the overlay."""
    documents = built.split("---\n")
    return {
        name: "# Part of overlays/confluent, written by `make manifests`.\n"
        + "---\n".join(document for document in documents if _is_one_of(document, wanted))
        for name, wanted in PARTS.items()
    }


def _is_one_of(document: str, wanted: tuple[tuple[str, str], ...]) -> bool:
    resource = yaml.safe_load(document)
    kind, name = resource["kind"], resource["metadata"]["name"]
    return any(kind == k and name.startswith(begin) for k, begin in wanted)


if __name__ == "__main__":
    for filename, text in files(sys.stdin.read()).items():
        (HERE / filename).write_text(text, "utf-8")
