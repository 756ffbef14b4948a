import socket
from pathlib import Path

import pytest
from aiokafka.conn import collect_hosts

from dedup.core.errors import SettingsError
from dedup.kafka.settings import redacted
from dedup.rules import rules_of
from dedup.settings import Settings, load_settings
from docs.generate.configuration import settings_table

SASL = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_USER": "u", "KAFKA_PASSWORD": "s3cret"}


def test_without_an_environment_every_setting_has_its_default() -> None:
    settings = load_settings({})

    assert settings.KAFKA_BOOTSTRAP_SERVERS == "localhost:9092"
    assert settings.DEDUP_PARTITIONS == 4
    assert settings.DEDUP_WEB_HOST == "127.0.0.1"


def test_the_process_s_own_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEDUP_PARTITIONS", "9")

    assert load_settings({}).DEDUP_PARTITIONS == 4


def test_an_empty_value_is_no_value() -> None:
    assert load_settings({"KAFKA_USER": ""}).KAFKA_USER is None


def test_content_fields_are_a_list_with_commas() -> None:
    settings = load_settings({"DEDUP_CONTENT_FIELDS": "price, discount"})

    assert settings.DEDUP_CONTENT_FIELDS == ("price", "discount")


def test_the_password_is_in_no_text_of_the_settings() -> None:
    settings = load_settings(SASL)

    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump()}"
    assert "s3cret" in settings.kafka_client().values()


def test_the_text_of_the_settings_tells_no_secret() -> None:
    texts = redacted(load_settings({**SASL, "DEDUP_CONTENT_FIELDS": "price,discount"}))

    assert texts["KAFKA_PASSWORD"] == "***"  # noqa: S105 - no password
    assert texts["DEDUP_CONTENT_FIELDS"] == "price,discount"
    assert texts["DEDUP_WEB_TOKEN"] is None


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:6066"),
        ({"DEDUP_WEB_HOST": "::1", "DEDUP_WEB_PORT": "80"}, "http://[::1]:80"),
        ({"DEDUP_WEB_URL": "https://w1.example/"}, "https://w1.example"),
        ({"DEDUP_WEB_URL": "https://w1.example/a/dedup/"}, "https://w1.example/a/dedup"),
        (
            {"DEDUP_WEB_HOST": "0.0.0.0", "DEDUP_WEB_TOKEN": "x" * 16},  # noqa: S104
            f"http://{socket.gethostname()}:6066",
        ),
    ],
)
def test_other_workers_are_told_an_address_they_can_use(environ: dict[str, str], url: str) -> None:
    assert load_settings(environ).web_url == url


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"DEDUP_PARTITIONS": "0"}, "DEDUP_PARTITIONS=0 is not accepted"),
        ({"DEDUP_WEB_PORT": "http"}, "DEDUP_WEB_PORT=http is not accepted"),
        ({"DEDUP_CONTENT_FIELDS": "prize"}, "DEDUP_CONTENT_FIELDS=prize is not accepted"),
        ({"DEDUP_CONTENT_FIELDS": ","}, "DEDUP_CONTENT_FIELDS"),
        ({"DEDUP_REFRESH_AFTER": "-1"}, "DEDUP_REFRESH_AFTER=-1 is not accepted"),
        ({"DEDUP_GUARANTEE": "none"}, "DEDUP_GUARANTEE=none is not accepted"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL=TLS is not accepted"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "needs KAFKA_USER and KAFKA_PASSWORD"),
        ({"DEDUP_WEB_URL": "worker-1:6066"}, "DEDUP_WEB_URL=worker-1:6066 is not accepted"),
        (
            {"DEDUP_WEB_URL": "http://worker/x?y"},
            "expected an address such as http://worker-1:6066",
        ),
        ({"DEDUP_WEB_URL": "http://worker/x/../y"}, "expected a path of plain letters"),
        ({"DEDUP_WEB_URL": "http://worker//evil"}, "expected a path of plain letters"),
        ({"KAFKA_CERT": "/does/not/exist"}, "KAFKA_CERT=/does/not/exist is no readable file"),
        ({"KAFKA_DLQ_TOPIC": "products"}, "the three topics must differ"),
        ({"DEDUP_PARTITION": "3"}, "DEDUP_PARTITION is not a setting; did you mean"),
    ],
)
def test_what_can_t_be_used_is_named_with_its_value(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ)

    assert sentence in str(refused.value)


DURATIONS = {
    "90": 90,
    "90s": 90,
    "10m": 600,
    "24h": 86_400,
    "7d": 604_800,
    "0.5": 0.5,
    "1.5h": 5400,
}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_a_duration_is_seconds_or_a_number_with_its_unit(text: str, seconds: float) -> None:
    settings = load_settings({"DEDUP_REFRESH_AFTER": text})

    assert seconds == settings.DEDUP_REFRESH_AFTER
    assert rules_of(settings).window_us == seconds * 1_000_000


@pytest.mark.parametrize("text", ["0", "0h", "1w", "h", "-5m", "inf", "nan", "1e3", "1h30m", "٣h"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"DEDUP_REFRESH_AFTER": text})

    assert f"DEDUP_REFRESH_AFTER={text} is not accepted: expected a duration" in str(refused.value)
    assert "90s, 10m, 24h or 7d" in str(refused.value)


@pytest.mark.parametrize(
    ("brokers", "what"),
    [
        ('"127.0.0.1:9092"', "remove the quotes"),
        ("'a:1,b:2'", "remove the quotes"),
        ("“a:1”", "remove the quotes"),
        ("kafka://a:9092", "leave out kafka://"),
        ("PLAINTEXT://a:9092", "leave out PLAINTEXT://"),
        ("a:1,http://b:2", "leave out http://"),
        ("a:1,", "nothing before or after a comma"),
        ("a:1,,b:2", "nothing before or after a comma"),
        (" ", "nothing before or after a comma"),
        ("a:", "'' is not a port"),
        ("a:port", "'port' is not a port"),
        ("a:0", "'0' is not a port"),
        ("a:65536", "'65536' is not a port"),
        ("a:٩٠٩٢", "is not a port"),
        ("[::1]:x", "'x' is not a port"),
        (":9092", "'' is not a host name"),
        ("a b:9092", "'a b' is not a host name"),
        ("a/b:9092", "'a/b' is not a host name"),
        ("a..b:1", "'a..b' is not a host name"),
        ("a" * 64 + ":1", "is not a host name"),
        ("a:1;b:2", "as [address]:port"),
        ("::1:9092", "as [address]:port"),
        ("[::g]:9092", "[::g] is not an IPv6 address"),
        ("käfka:9092", "is not ASCII"),
    ],
)
def test_a_wrong_address_is_named_with_what_is_wrong(brokers: str, what: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"KAFKA_BOOTSTRAP_SERVERS": brokers})

    sentence = str(refused.value)
    assert sentence.startswith(f"KAFKA_BOOTSTRAP_SERVERS={brokers} is not accepted: ")
    assert what in sentence
    assert len(sentence.splitlines()) == 1


@pytest.mark.parametrize(
    "brokers",
    ["a", "a:1", " a:1 , b_c.d-e:65535 ", "[::1]:9092", "[::1]", "127.0.0.1:9092", "a.:1"],
)
def test_an_address_that_a_client_can_use_is_taken(brokers: str) -> None:
    taken = load_settings({"KAFKA_BOOTSTRAP_SERVERS": brokers}).KAFKA_BOOTSTRAP_SERVERS

    assert taken == ",".join(each.strip() for each in brokers.split(","))
    assert len(collect_hosts(taken)) == len(brokers.split(","))


TOPICS = ("KAFKA_PRODUCT_TOPIC", "KAFKA_SRC_PRODUCTS_TOPIC", "KAFKA_DLQ_TOPIC")


@pytest.mark.parametrize("name", TOPICS)
@pytest.mark.parametrize("topic", [".", "..", "a b", "a/b", "ä", '"a"', "a,b", "a" * 250])
def test_a_name_that_kafka_refuses_for_a_topic_is_refused(name: str, topic: str) -> None:
    with pytest.raises(SettingsError, match="expected up to 249 letters"):
        load_settings({name: topic})


@pytest.mark.parametrize("group", ["a b", '"a"', "ä", "a,b", "a\nb", "a" * 201])
def test_a_group_that_no_tool_could_name_is_refused(group: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"DEDUP_APP_ID": group})

    assert f"DEDUP_APP_ID={group} is not accepted" in str(refused.value)
    assert "expected up to 200 letters, digits" in str(refused.value)


def links_of(service: str, port: int) -> dict[str, str]:
    """The variables that a kubelet sets for a Service with one named port."""
    name, address = service.upper().replace("-", "_"), f"tcp://10.96.0.7:{port}"
    return {
        f"{name}_SERVICE_HOST": "10.96.0.7",
        f"{name}_SERVICE_PORT": str(port),
        f"{name}_SERVICE_PORT_HTTP": str(port),
        f"{name}_PORT": address,
        f"{name}_PORT_{port}_TCP": address,
        f"{name}_PORT_{port}_TCP_PROTO": "tcp",
        f"{name}_PORT_{port}_TCP_PORT": str(port),
        f"{name}_PORT_{port}_TCP_ADDR": "10.96.0.7",
    }


@pytest.mark.parametrize("service", ["dedup", "dedup-web", "dedup-ui-2"])
def test_variables_of_a_kubernetes_service_are_refused_with_its_name(service: str) -> None:
    """One sentence for all of them; `dedup-web` even has a setting's name, DEDUP_WEB_PORT."""
    with pytest.raises(SettingsError) as refused:
        load_settings(links_of(service, 6066))

    (sentence,) = str(refused.value).splitlines()
    assert f"Kubernetes adds it and 7 more for the Service {service}." in sentence
    assert "enableServiceLinks: false" in sentence


@pytest.mark.parametrize("service", ["kafka", "product-dedup", "kafka-cert"])
def test_variables_of_other_services_are_no_settings(service: str) -> None:
    assert load_settings(links_of(service, 9092)) == load_settings({})


def test_the_port_of_the_pages_is_no_service_s() -> None:
    assert load_settings({"DEDUP_WEB_PORT": "7000"}).DEDUP_WEB_PORT == 7000


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"DEDUP_ORDER": "x", "DEDUP_PARTITIONS": "x", "DEDUP_NOPE": "x"})

    assert len(str(refused.value).splitlines()) == 3


def test_a_bad_password_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"KAFKA_PASSWORD": "s3cret", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"})

    assert "s3cret" not in str(refused.value)


def test_every_setting_says_what_it_is_for() -> None:
    assert [n for n, field in Settings.model_fields.items() if not field.description] == []


def test_the_documented_settings_are_the_ones_there_are() -> None:
    documented = Path(__file__).parents[1] / "docs" / "configuration.md"

    assert settings_table() in documented.read_text(), "run `make docs`"
