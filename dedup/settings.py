"""Settings, read from the environment: the seed's `KAFKA_*` names and our `DEDUP_*`.

`load_settings(environ)` is the one way in. It refuses an unknown `DEDUP_*` name and any bad value
with a sentence that gives the name, the value and what is accepted - never a secret.
"""

import difflib
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from dedup.core.errors import ExplainedError
from dedup.core.event import CONTENT_FIELDS
from dedup.core.service_links import added_by_kubernetes
from dedup.core.setting_types import (
    Brokers,
    Duration,
    GroupName,
    HttpAddress,
    TopicName,
    is_loopback,
    token,
    words,
)

_OWN_PREFIX: Final = "DEDUP_"
_EVERY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound to


class SettingsError(ExplainedError, ValueError):
    """One or more settings can't be used; the text is a sentence for each."""


ContentField = Literal["product_name", "description", "price", "stock_quantity", "discount"]


class Settings(BaseSettings):
    """Every setting of the worker, by the name of its environment variable."""

    model_config = SettingsConfigDict(case_sensitive=True, frozen=True)

    group_setting: ClassVar[str] = "DEDUP_APP_ID"
    """The setting that names the consumer group."""

    KAFKA_BOOTSTRAP_SERVERS: Brokers = Field(
        "localhost:9092",
        description="Brokers to ask first, comma-separated host:port; a port left out is 9092.",
    )
    KAFKA_PRODUCT_TOPIC: TopicName = Field("products", description="Topic of product events.")
    KAFKA_SRC_PRODUCTS_TOPIC: TopicName = Field(
        "src_products", description="Compacted topic of changed states; the table's changelog."
    )
    KAFKA_DLQ_TOPIC: TopicName = Field("products.dlq", description="Topic of dead letters.")
    KAFKA_USER: str | None = Field(None, description="SASL user.")
    KAFKA_PASSWORD: SecretStr | None = Field(None, description="SASL password; never printed.")
    KAFKA_SECURITY_PROTOCOL: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How the brokers are spoken to."
    )
    KAFKA_SASL_MECHANISM: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How the user is authenticated."
    )
    KAFKA_CERT: Path | None = Field(
        None, description="File of the CA certificates that sign the brokers' certificates."
    )
    DEDUP_APP_ID: GroupName = Field(
        "product-dedup", description="Name of the application; the consumer group."
    )
    DEDUP_DATA_DIR: Path = Field(
        Path("product-dedup-data"), description="Directory of the RocksDB state; one per worker."
    )
    DEDUP_CONTENT_FIELDS: Annotated[
        tuple[ContentField, ...], NoDecode, BeforeValidator(words), Field(min_length=1)
    ] = Field(CONTENT_FIELDS, description="Fields whose change is a change, comma-separated.")
    DEDUP_ORDER: Literal["event_time", "arrival"] = Field(
        "event_time", description="What makes an event newer; arrival turns stale events off."
    )
    DEDUP_UNKNOWN_ACTION: Literal["update", "dead_letter"] = Field(
        "update", description="What becomes of an event whose action is unknown."
    )
    DEDUP_REFRESH_AFTER: Duration | None = Field(
        None,
        description=(
            "Re-emit an unchanged state when its last emission is older than this: `90s`, `10m`, "
            "`24h`, `7d`; a number alone is seconds."
        ),
    )
    DEDUP_OUTPUT_KEY_FORMAT: Literal["json", "plain"] = Field(
        "json", description="Record key on src_products: Flink's JSON text, or the bare id."
    )
    DEDUP_GUARANTEE: Literal["exactly_once", "at_least_once"] = Field(
        "exactly_once",
        description="Whether source offsets are part of the output's transaction.",
    )
    DEDUP_DRY_RUN: bool = Field(
        False,
        description=(
            "Observe only: the worker decides, counts and shows, beside a worker or a Flink job "
            "that goes on; it writes nothing to any topic, and its group and data directory are "
            "its own."
        ),
    )
    DEDUP_PARTITIONS: int = Field(4, ge=1, description="Partitions of topics the worker creates.")
    DEDUP_REPLICATION_FACTOR: int = Field(
        1, ge=1, description="Replicas of topics the worker creates."
    )
    DEDUP_WEB_HOST: str = Field("127.0.0.1", description="Address the web server binds to.")
    DEDUP_WEB_PORT: int = Field(6066, ge=1, le=65535, description="Port of the web server.")
    DEDUP_WEB_URL: HttpAddress | None = Field(
        None,
        description=(
            "Address other workers reach the pages at, with the path where it has one; by default "
            "of DEDUP_WEB_HOST, or the machine's name where that is every address, and "
            "DEDUP_WEB_PORT."
        ),
    )
    DEDUP_WEB_TOKEN: Annotated[SecretStr | None, AfterValidator(token)] = Field(
        None,
        description=(
            "Every page but /livez and /readyz then asks for it, as `Authorization: Bearer` or a "
            "password; needed when DEDUP_WEB_HOST is no loopback address; never printed."
        ),
    )
    DEDUP_LOG_FORMAT: Literal["text", "json"] = Field("text", description="Form of log lines.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what `load_settings` hands over: the environment is an argument."""
        return (init_settings,)

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        sasl = self.KAFKA_SECURITY_PROTOCOL.startswith("SASL")
        if sasl and (self.KAFKA_USER is None or self.KAFKA_PASSWORD is None):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.KAFKA_SECURITY_PROTOCOL} needs KAFKA_USER and "
                "KAFKA_PASSWORD"
            )
        if self.KAFKA_CERT is not None and not self.KAFKA_CERT.is_file():
            raise ValueError(f"KAFKA_CERT={self.KAFKA_CERT} is no readable file")
        topics = (self.KAFKA_PRODUCT_TOPIC, self.KAFKA_SRC_PRODUCTS_TOPIC, self.KAFKA_DLQ_TOPIC)
        if len(set(topics)) < len(topics):
            raise ValueError(f"the three topics must differ, they are {', '.join(topics)}")
        if not is_loopback(self.DEDUP_WEB_HOST) and self.DEDUP_WEB_TOKEN is None:
            raise ValueError(open_door("DEDUP_WEB_HOST", self.DEDUP_WEB_HOST))
        return self

    def effective(self) -> "Settings":
        """Return the settings a worker uses; a dry run has its own group and directory."""
        if not self.DEDUP_DRY_RUN:
            return self
        own = {
            "DEDUP_APP_ID": f"{self.DEDUP_APP_ID}-dry-run",
            "DEDUP_DATA_DIR": self.DEDUP_DATA_DIR / "dry-run",
        }
        return self.model_copy(update=own)

    @property
    def topics(self) -> list[str]:
        """The topics that the worker reads and writes."""
        return [self.KAFKA_PRODUCT_TOPIC, self.KAFKA_SRC_PRODUCTS_TOPIC, self.KAFKA_DLQ_TOPIC]

    @property
    def web_url(self) -> str:
        """The address at which other workers reach this one's pages."""
        if self.DEDUP_WEB_URL is not None:
            return self.DEDUP_WEB_URL
        host = self.DEDUP_WEB_HOST
        if host in _EVERY_ADDRESS:
            host = socket.gethostname()
        return f"http://{f'[{host}]' if ':' in host else host}:{self.DEDUP_WEB_PORT}"

    @property
    def web_path(self) -> str:
        """The path of `DEDUP_WEB_URL`, such as `/dedup`; empty without one."""
        return urlsplit(self.web_url).path.rstrip("/")

    def ssl_context(self) -> ssl.SSLContext | None:
        """Make the TLS context when the protocol asks for one. Raises SettingsError."""
        if not self.KAFKA_SECURITY_PROTOCOL.endswith("SSL"):
            return None
        try:
            return ssl.create_default_context(cafile=self.KAFKA_CERT)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(
                f"KAFKA_CERT={self.KAFKA_CERT} can't be read as PEM certificates: {error}"
            ) from None

    def kafka_client(self) -> dict[str, Any]:
        """Return the connection arguments of every aiokafka client we make."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.KAFKA_BOOTSTRAP_SERVERS,
            "security_protocol": self.KAFKA_SECURITY_PROTOCOL,
            "ssl_context": self.ssl_context(),
            "client_id": self.DEDUP_APP_ID,
        }
        if self.KAFKA_SECURITY_PROTOCOL.startswith("SASL") and self.KAFKA_PASSWORD is not None:
            arguments |= {
                "sasl_mechanism": self.KAFKA_SASL_MECHANISM,
                "sasl_plain_username": self.KAFKA_USER,
                "sasl_plain_password": self.KAFKA_PASSWORD.get_secret_value(),
            }
        return arguments


def open_door(option: str, host: str) -> str:
    """Say that the pages must not be offered to a network unprotected, and what to do."""
    return (
        f"{option}={host} offers the worker's pages to the network, so DEDUP_WEB_TOKEN must be set "
        "(such as to the output of `openssl rand -hex 32`); or bind to 127.0.0.1"
    )


SomeSettings = TypeVar("SomeSettings", bound=Settings)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from an environment. Raises SettingsError, a sentence per fault."""
    return read_settings(environ, Settings)


def read_settings(environ: Mapping[str, str], kind: type[SomeSettings]) -> SomeSettings:
    """Read settings of one kind, as `load_settings` does the worker's."""
    known = set(kind.model_fields)
    linked, faults = added_by_kubernetes(environ, _OWN_PREFIX)
    faults += [
        _unknown(name, known)
        for name in sorted(environ)
        if name.startswith(_OWN_PREFIX) and name not in known | linked
    ]
    values = {name: environ[name] for name in known - linked if environ.get(name)}
    try:
        settings = kind.model_validate(values)
    except ValidationError as error:
        faults += [_bad_value(fault, kind) for fault in error.errors(include_url=False)]
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def _unknown(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{name} is not a setting{hint}"


def _bad_value(fault: Any, kind: type[Settings]) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not fault["loc"]:
        return message
    name = str(fault["loc"][0])
    field = kind.model_fields[name]
    if fault["type"] == "missing":
        return f"{name} is not set: {field.description}"
    secret = SecretStr in (field.annotation, *get_args(field.annotation))
    value = "" if secret else f"={fault['input']}"
    return f"{name}{value} is not accepted: {message[:1].lower()}{message[1:]}"


def redacted(settings: Settings) -> dict[str, str | None]:
    """Return the text of every setting, as it would stand in the environment; secrets as `***`."""
    return {name: _shown(getattr(settings, name)) for name in Settings.model_fields}


def _shown(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)
