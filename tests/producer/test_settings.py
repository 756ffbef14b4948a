"""Settings come from the environment alone, and a bad one is named in a sentence."""

from pathlib import Path

import pytest

from dedup.core.errors import SettingsError
from dedup.kafka.settings import KafkaSettings
from dedup.settings import load_settings as load_worker_settings
from producer.settings import ProducerSettings, load_settings

SECRET = "correct horse"  # noqa: S105 - opens nothing
SASL = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_USER": "me",
    "KAFKA_PASSWORD": SECRET,
}


def test_the_defaults_are_those_of_the_demo() -> None:
    kafka = load_settings({})
    assert kafka.KAFKA_BOOTSTRAP_SERVERS == "localhost:9092"
    assert kafka.KAFKA_PRODUCT_TOPIC == "products"
    assert kafka.KAFKA_SECURITY_PROTOCOL == "PLAINTEXT"
    assert kafka.KAFKA_SASL_MECHANISM == "PLAIN"
    assert (kafka.DEDUP_PARTITIONS, kafka.DEDUP_REPLICATION_FACTOR) == (4, 1)


def test_an_empty_variable_is_none() -> None:
    assert load_settings({"KAFKA_USER": "", "KAFKA_PRODUCT_TOPIC": ""}) == load_settings({})


def test_settings_made_in_code_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PRODUCT_TOPIC", "elsewhere")
    assert ProducerSettings().KAFKA_PRODUCT_TOPIC == "products"


def test_several_brokers_may_be_named() -> None:
    kafka = load_settings({"KAFKA_BOOTSTRAP_SERVERS": "a:1, b.example:9092,[::1]:9092,c"})
    assert kafka.KAFKA_BOOTSTRAP_SERVERS == "a:1,b.example:9092,[::1]:9092,c"


def test_the_password_is_never_shown() -> None:
    kafka = load_settings(SASL)
    assert SECRET not in repr(kafka)
    assert SECRET not in str(kafka)
    assert SECRET not in kafka.model_dump_json()
    assert kafka.kafka_client()["sasl_plain_password"] == SECRET


def test_credentials_are_not_sent_where_the_protocol_has_none() -> None:
    kafka = load_settings(SASL | {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"})
    assert SECRET not in repr(kafka.kafka_client())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "host:port"),
        ("KAFKA_BOOTSTRAP_SERVERS", "host:70000"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,,b:2"),
        ("KAFKA_BOOTSTRAP_SERVERS", '"a:1"'),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka://a:1"),
        ("KAFKA_BOOTSTRAP_SERVERS", "::1:9092"),
        ("KAFKA_PRODUCT_TOPIC", "two words"),
        ("KAFKA_PRODUCT_TOPIC", ".."),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("DEDUP_PARTITIONS", "0"),
        ("DEDUP_REPLICATION_FACTOR", "many"),
    ],
)
def test_a_bad_value_is_named_with_its_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match="is not accepted") as refused:
        load_settings(SASL | {name: value})
    assert f"{name}={value}" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("missing", ["KAFKA_USER", "KAFKA_PASSWORD"])
def test_sasl_needs_user_and_password(missing: str) -> None:
    environ = {name: value for name, value in SASL.items() if name != missing}
    with pytest.raises(SettingsError, match="needs KAFKA_USER and KAFKA_PASSWORD") as refused:
        load_settings(environ)
    assert SECRET not in str(refused.value)


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    for path in (wrong, tmp_path, tmp_path / "missing.pem"):
        environ = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CERT": str(path)}
        with pytest.raises(SettingsError, match=r"can't be read|is no readable file") as refused:
            load_settings(environ).kafka_client()
        assert f"KAFKA_CERT={path}" in str(refused.value)


def test_without_a_certificate_the_systems_are_trusted() -> None:
    assert load_settings({"KAFKA_SECURITY_PROTOCOL": "SSL"}).ssl_context() is not None
    assert load_settings({}).ssl_context() is None


def test_what_the_worker_alone_reads_is_ignored() -> None:
    assert load_settings({"DEDUP_WEB_PORT": "none", "DEDUP_NOPE": "x"}) == load_settings({})


def test_the_producer_and_the_worker_read_the_same_kafka_settings() -> None:
    """One definition: name, default, what is accepted, and the connection that follows."""
    environ = SASL | {"KAFKA_BOOTSTRAP_SERVERS": "a:1", "KAFKA_PRODUCT_TOPIC": "events"}
    producer, worker = load_settings(environ), load_worker_settings(environ)
    for name, field in ProducerSettings.model_fields.items():
        assert repr(field) == repr(KafkaSettings.model_fields[name])
        assert getattr(producer, name) == getattr(worker, name)
    same = {"client_id": None}
    assert producer.kafka_client() | same == worker.kafka_client() | same
