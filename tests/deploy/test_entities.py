"""How the examples' modules get into containers and pods: `dedup config check` finds them there."""

import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from dedup import __version__
from tests.deploy.conftest import ROOT, Judge, build
from tests.deploy.test_containers import BIN, composed, said

EXAMPLES = ROOT / "examples"
WITH_COMPOSE = [path.parent.name for path in sorted(EXAMPLES.glob("*/compose.yaml"))]
NAMES = {"orders": "orders", "debezium": "shop.public.products"}
"""The source topic of each example."""

WORKERS = ("topics", "worker-1", "worker-2", "sink")
TOKEN = "0123456789abcdef"  # noqa: S105 - of the test only


def checked(environ: dict[str, str], mounted: Path, directory: str) -> str:
    """Return what `dedup config` says where the files of `mounted` are in a container's directory.

    Only the directories differ from those of the container.
    """
    assert environ["PYTHONPATH"] == directory
    settings = {"PATH": os.environ["PATH"], **environ, "PYTHONPATH": str(mounted)}
    settings |= {"DEDUP_WEB_TOKEN": TOKEN}
    shown = [str(BIN / "dedup"), "config", "show"]
    done = subprocess.run(
        shown, env=settings, cwd=mounted, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown_settings: str = done.stdout
    return shown_settings


def test_every_example_is_checked() -> None:
    assert NAMES.keys() == set(WITH_COMPOSE)


@pytest.mark.parametrize("name", WITH_COMPOSE)
def test_compose_runs_the_workers_of_an_example(name: str, tmp_path: Path) -> None:
    files = ("docker-compose.yml", f"examples/{name}/compose.yaml")
    project = composed(*(f"--file={file}" for file in files))
    for service in WORKERS:
        found = project["services"][service]
        (mount,) = (m for m in found["volumes"] if m["type"] == "bind")
        assert mount["read_only"]
        target = Path(mount["target"])
        mounted = tmp_path / service
        mounted.mkdir()
        (mounted / target.name).write_bytes(Path(mount["source"]).read_bytes())
        environ = {k: v for k, v in found["environment"].items() if not k.startswith("SINK_")}
        said_of_it = checked(environ, mounted, str(target.parent))
        assert NAMES[name] in said_of_it
    assert "producer" not in project["services"]


def test_the_pods_have_the_module_that_is_configured(judge: Judge, tmp_path: Path) -> None:
    documents = build(EXAMPLES / "orders")
    verdict = judge(documents)
    resources: list[dict[str, Any]] = list(yaml.safe_load_all(documents))
    assert verdict.faults == []
    assert verdict.valid == len(resources)
    kinds = Counter(resource["kind"] for resource in resources)
    assert kinds["StatefulSet"] == kinds["Namespace"] == 1
    assert kinds["ConfigMap"] == 3
    assert not kinds["Pod"]
    for resource in resources:
        assert resource["kind"] == "Namespace" or resource["metadata"]["namespace"] == "orders"

    configured = {r["metadata"]["name"]: r["data"] for r in resources if r["kind"] == "ConfigMap"}
    (pod,) = (r["spec"]["template"]["spec"] for r in resources if r["kind"] == "StatefulSet")
    (container,) = pod["containers"]
    environ: dict[str, str] = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            environ |= configured[source["configMapRef"]["name"]]
    (volume,) = (v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v)
    (mount,) = (m for m in container["volumeMounts"] if m["name"] == "entity")
    for file, text in configured[volume].items():
        (tmp_path / file).write_text(text)
    assert (tmp_path / "orders.py").read_bytes() == (EXAMPLES / "orders/orders.py").read_bytes()
    shown = checked(environ, tmp_path, mount["mountPath"])
    assert {"orders:ORDER", "src_orders", "orders.dlq", "order-dedup"} <= set(shown.split())


def test_an_image_with_a_module_is_that_of_this_version() -> None:
    dockerfile = EXAMPLES / "orders" / "Dockerfile"
    text = dockerfile.read_text()
    assert f"FROM product-dedup:{__version__}\n" in text
    done = said("hadolint", "--no-color", dockerfile)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    copied = [line.split()[1] for line in text.splitlines() if line.startswith("COPY")]
    assert [name for name in copied if not (dockerfile.parent / name).is_file()] == []
