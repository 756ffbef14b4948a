"""Manifests that Kubernetes and the operators accept, and that agree with the programs they run."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dedup import __version__
from dedup.kafka.topics import topic_configs
from dedup.settings import Settings, load_settings
from deploy.k8s.single_files import OVERLAY, PARTS, files
from producer.settings import load_settings as load_producer_settings
from tests.deploy.conftest import K8S, ROOT, Judge, build

CORE = {
    "ConfigMap": 2,
    "NetworkPolicy": 1,
    "Pod": 1,
    "PodDisruptionBudget": 1,
    "Service": 1,
    "ServiceAccount": 1,
    "StatefulSet": 1,
}
STRIMZI = CORE | {"KafkaTopic": 3, "KafkaUser": 2}
KINDS = {
    "base": CORE,
    "overlays/confluent": CORE | {"KafkaTopic": 3},
    "overlays/strimzi": STRIMZI,
    "overlays/minikube": CORE | {"Namespace": 1, "Service": 2, "StatefulSet": 2},
    "overlays/complete": STRIMZI
    | {"Deployment": 1, "NetworkPolicy": 2, "ScaledObject": 1, "ServiceMonitor": 2, "Service": 2},
    "flink/apache": {"FlinkDeployment": 1, "PersistentVolumeClaim": 1},
    "flink/confluent": {"FlinkApplication": 1, "PersistentVolumeClaim": 1},
}
"""Every directory to apply, and how many resources of each kind it must give."""

WORKER_OVERLAYS = [name for name in KINDS if name.startswith("overlays")]
TOKEN = {"DEDUP_WEB_TOKEN": "0123456789abcdef"}

Resource = dict[str, Any]


def resources(directory: str) -> list[Resource]:
    return [document for document in yaml.safe_load_all(build(K8S / directory)) if document]


def pods(directory: str) -> Iterator[Resource]:
    """Every pod of a directory, or template of pods, with its kind and name."""
    for resource in resources(directory):
        spec = resource.get("spec", {})
        if resource["kind"] == "Pod":
            yield resource
        elif template := spec.get("template", spec.get("podTemplate")):
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "template"}} | template


def one(directory: str, kind: str, name: str = "product-dedup") -> Resource:
    (found,) = (
        r for r in resources(directory) if (r["kind"], r["metadata"]["name"]) == (kind, name)
    )
    return found


def config(directory: str, name: str) -> dict[str, str]:
    """The data of a ConfigMap, whose name ends with a hash of them."""
    (found,) = (
        r["data"]
        for r in resources(directory)
        if r["kind"] == "ConfigMap" and r["metadata"]["name"].startswith(f"{name}-")
    )
    return dict(found)


def worker_settings(directory: str, tmp_path: Path) -> Settings:
    """The worker's settings, as its pod has them."""
    environ = config(directory, "product-dedup-kafka") | config(directory, "product-dedup-worker")
    container = one(directory, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    environ |= {
        variable["name"]: variable.get("value", "secret") for variable in container.get("env", ())
    }
    if "KAFKA_CERT" in environ:
        environ["KAFKA_CERT"] = str(tmp_path / "ca.crt")
        (tmp_path / "ca.crt").touch()
    return load_settings(environ | TOKEN)


@pytest.mark.parametrize("directory", KINDS)
def test_every_directory_builds_and_is_valid(directory: str, judge: Judge) -> None:
    documents = build(K8S / directory)
    verdict = judge(documents)
    assert verdict.faults == []
    assert verdict.valid == sum(KINDS[directory].values())
    assert Counter(r["kind"] for r in resources(directory)) == KINDS[directory]


@pytest.mark.parametrize("directory", KINDS)
def test_pods_inside_other_resources_are_valid_pods(directory: str, judge: Judge) -> None:
    found = list(pods(directory))
    verdict = judge(yaml.safe_dump_all(found))
    assert verdict.faults == []
    assert verdict.valid == len(found) > 0


def test_every_directory_with_a_kustomization_is_checked() -> None:
    """Components and what only others build are reached through an overlay."""
    parts = {"flink/storage", *(f"components/{p}" for p in ("monitoring", "autoscaling", "sink"))}
    found = {str(p.parent.relative_to(K8S)) for p in K8S.rglob("kustomization.yaml")}
    assert found == set(KINDS) | parts


@pytest.mark.parametrize(
    ("directory", "right", "wrong"),
    [
        ("base", "serviceName:", "servicename:"),
        ("base", "replicas: 2", "replicas: two"),
        ("base", "periodSeconds:", "periodSecond:"),
        ("overlays/confluent", "partitionCount:", "partitions:"),
        ("overlays/strimzi", "topicName:", "name:"),
        ("overlays/strimzi", "- Read\n", "- Reed\n"),
        ("overlays/complete", "endpoints:", "endpoint:"),
        ("overlays/complete", "maxReplicaCount:", "maxReplicas:"),
        ("flink/apache", "jarURI:", "jarUri:"),
        ("flink/confluent", "flinkEnvironment:", "environment:"),
        ("flink/confluent", "v2_1", "v2_9"),
    ],
)
def test_a_broken_manifest_is_refused(directory: str, right: str, wrong: str, judge: Judge) -> None:
    documents = build(K8S / directory)
    assert right in documents
    verdict = judge(documents.replace(right, wrong))

    assert len(verdict.faults) >= 1
    assert verdict.valid < sum(KINDS[directory].values())


def test_a_kind_without_a_schema_is_refused(judge: Judge) -> None:
    unknown = "apiVersion: example.org/v1\nkind: Unknown\nmetadata: {name: x}\n"
    assert "could not find schema" in judge(unknown).faults[0]


def test_nothing_at_all_counts_as_nothing(judge: Judge) -> None:
    """Kubeconform passes empty input: so the number of resources is asserted above."""
    verdict = judge("")
    assert (verdict.valid, verdict.faults) == (0, [])


def test_an_overlay_that_names_a_missing_file_does_not_build(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [missing.yaml]\n")
    with pytest.raises(subprocess.CalledProcessError):
        build(tmp_path)


@pytest.mark.parametrize("directory", WORKER_OVERLAYS)
def test_the_programs_accept_their_settings(directory: str, tmp_path: Path) -> None:
    settings = worker_settings(directory, tmp_path)
    container = one(directory, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    assert container["ports"][0]["containerPort"] == settings.DEDUP_WEB_PORT
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(settings.DEDUP_DATA_DIR.parent) in mounts

    kafka = config(directory, "product-dedup-kafka") | {"KAFKA_USER": "u", "KAFKA_PASSWORD": "p"}
    if "KAFKA_CERT" in kafka:
        kafka["KAFKA_CERT"] = str(tmp_path / "ca.crt")
    assert load_producer_settings(kafka).KAFKA_PRODUCT_TOPIC == settings.KAFKA_PRODUCT_TOPIC


@pytest.mark.parametrize("directory", ["overlays/confluent", "overlays/strimzi"])
def test_declared_topics_are_those_the_worker_would_make(directory: str, tmp_path: Path) -> None:
    settings = worker_settings(directory, tmp_path)
    declared = {}
    for topic in (r for r in resources(directory) if r["kind"] == "KafkaTopic"):
        spec = topic["spec"]
        name = spec.get("name", spec.get("topicName", topic["metadata"]["name"]))
        settings_of = spec.get("configs", spec.get("config"))
        declared[name] = {setting: str(value) for setting, value in settings_of.items()}
        assert spec.get("partitionCount", spec.get("partitions")) == settings.DEDUP_PARTITIONS
        assert spec["replicas"] == settings.DEDUP_REPLICATION_FACTOR
    assert declared == topic_configs(settings)


@pytest.mark.parametrize("name", PARTS)
def test_files_for_apply_f_are_parts_of_the_overlay(name: str, judge: Judge) -> None:
    """What the producer refers to is beside it: its ConfigMap and ServiceAccount."""
    text = (K8S / name).read_text("utf-8")
    assert text == files(build(OVERLAY))[name], "run `make manifests`"
    verdict = judge(text)
    assert (verdict.faults, verdict.valid) == ([], len(list(yaml.safe_load_all(text))))
    assert verdict.valid == {"products-topic.yaml": 3, "producer-pod.yaml": 3}[name]


def test_the_operator_names_jobs_as_the_alerts_do() -> None:
    monitors = [r for r in resources("overlays/complete") if r["kind"] == "ServiceMonitor"]
    jobs = {
        relabeling["replacement"]
        for monitor in monitors
        for endpoint in monitor["spec"]["endpoints"]
        for relabeling in endpoint["relabelings"]
        if relabeling["targetLabel"] == "job"
    }
    alerts = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text("utf-8")
    assert jobs == set(re.findall(r'up\{job="([^"]+)"', alerts)) == {"dedup", "dedup-sink"}


def test_there_are_never_more_workers_than_partitions(tmp_path: Path) -> None:
    partitions = worker_settings("overlays/complete", tmp_path).DEDUP_PARTITIONS
    scaled = one("overlays/complete", "ScaledObject")["spec"]
    assert scaled["maxReplicaCount"] == partitions
    assert one("base", "StatefulSet")["spec"]["replicas"] <= partitions
    trigger = scaled["triggers"][0]["metadata"]
    settings = worker_settings("overlays/complete", tmp_path)
    assert trigger["topic"] == settings.KAFKA_PRODUCT_TOPIC
    assert trigger["consumerGroupFromEnv"] in Settings.model_fields
    assert trigger["bootstrapServersFromEnv"] in Settings.model_fields


def test_selectors_find_the_worker() -> None:
    labels = one("overlays/complete", "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    service = one("overlays/complete", "Service")
    budget = one("overlays/complete", "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    monitor = one("overlays/complete", "ServiceMonitor")["spec"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert budget.items() <= labels.items()
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


@pytest.mark.parametrize("directory", KINDS)
def test_no_pod_has_permissions_it_does_not_need(directory: str) -> None:
    for pod in pods(directory):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["spec"]["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            ours = container.get("image", "").startswith("product-dedup:")
            assert context.get("readOnlyRootFilesystem", False) or not ours


@pytest.mark.parametrize("directory", KINDS)
def test_our_images_have_the_version_of_this_tree(directory: str) -> None:
    images = set(re.findall(r"image: (product-dedup\S*)", build(K8S / directory)))
    assert images
    assert {image.partition(":")[2] for image in images} == {__version__}


def test_the_page_names_what_there_is() -> None:
    """Its `apply -k` paths exist, and it makes every Secret that a pod asks for."""
    page = (K8S / "README.md").read_text()
    applied = set(re.findall(r"-k deploy/k8s/([a-z/]+)", page))
    assert applied == set(KINDS) - {"base"}
    asked = {
        source["secretRef"]["name"]
        for directory in WORKER_OVERLAYS
        for pod in pods(directory)
        for container in pod["spec"]["containers"]
        for source in container.get("envFrom", ())
        if "secretRef" in source
    }
    assert asked <= set(re.findall(r"create secret generic (\S+)", page))
