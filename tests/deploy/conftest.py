"""The pinned tools, and what they say of a manifest."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
TOOLS = ROOT / ".cache" / "deploy"
CRDS = Path(os.environ.get("CRD_SCHEMAS", Path(__file__).parent / "schemas"))
VERSIONS = ("1.32.0", "1.37.0")
"""The oldest Kubernetes with everything the manifests use, and the newest with schemas here."""

_ALL = "_definitions.json"


@dataclass(frozen=True)
class Verdict:
    """What kubeconform says: resources that are valid, and what is wrong with the others."""

    valid: int
    faults: list[str]


Judge = Callable[[str], Verdict]


@cache
def build(directory: Path) -> str:
    """Build an overlay. Raises CalledProcessError."""
    command = [str(TOOLS / "kustomize"), "build", str(directory)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session", params=VERSIONS)
def judge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Checks YAML documents with kubeconform, strictly, against one version of Kubernetes."""
    core = _core_schemas(request.param, tmp_path_factory.mktemp("schemas"))
    command = [str(TOOLS / "kubeconform"), "-strict", "-summary", "-output", "json", "-verbose"]
    for location in (
        f"{core}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json",
        f"{CRDS}/{{{{ .Group }}}}/{{{{ .ResourceKind }}}}_{{{{ .ResourceAPIVersion }}}}.json",
    ):
        command += ["-schema-location", location]

    def verdict(documents: str) -> Verdict:
        done = subprocess.run(command, input=documents, capture_output=True, text=True, check=False)
        answer: dict[str, Any] = json.loads(done.stdout)
        faults = [
            f"{resource['kind']} {resource['name']}: {resource['msg']}"
            for resource in answer["resources"]
            if resource["status"] != "statusValid"
        ]
        return Verdict(answer["summary"]["valid"], faults)

    return verdict


def _core_schemas(version: str, directory: Path) -> Path:
    """Make the schemas of kubernetes-validate refer to each other as files in one folder."""
    package = find_spec("kubernetes_validate")
    assert package is not None
    assert package.origin is not None
    source = Path(package.origin).parent / "kubernetes-json-schema" / f"v{version}-local-strict"
    for schema in source.glob("*.json"):
        document = json.loads(schema.read_text().replace("/api/_definitions.json#", f"{_ALL}#"))
        document.pop("$id", None)  # a network address: references would be looked up there
        (directory / schema.name).write_text(json.dumps(document))
    return directory
