import socket
from pathlib import Path

import pytest

from dedup.cli.configuration import settings_table
from dedup.settings import Settings, SettingsError, load_settings, shown

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
    texts = shown(load_settings({**SASL, "DEDUP_CONTENT_FIELDS": "price,discount"}))

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


def test_the_readme_shows_the_same_settings() -> None:
    readme = Path(__file__).parents[1] / "README.md"

    assert settings_table() in readme.read_text(), "copy the table of docs/configuration.md"
