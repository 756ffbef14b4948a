"""The worker's settings, read from the environment: `KAFKA_*` and `DEDUP_*`.

`load_settings(environ)` is the only entry. It rejects an unknown `DEDUP_*` name and any bad value;
the error gives the name, the value and what is accepted, but never a secret.
"""

import difflib
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import NoDecode

from dedup.core.codec import UnknownActions, UnknownFields
from dedup.core.entity import Entity
from dedup.core.errors import SettingsError
from dedup.core.service_links import added_by_kubernetes
from dedup.core.setting_types import (
    Duration,
    GroupName,
    HttpAddress,
    TopicName,
    is_loopback,
    token,
    window_fault,
    words,
)
from dedup.core.window import Strategy, WindowKind
from dedup.entities.product import PRODUCT
from dedup.entities.resolve import DEFAULT, resolve_entity
from dedup.kafka.settings import KafkaSettings, faults_in

_OWN_PREFIX: Final = "DEDUP_"
_EVERY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound to


class Settings(KafkaSettings):
    """Every setting of the worker, by the name of its environment variable."""

    group_setting: ClassVar[str] = "DEDUP_APP_ID"
    """The setting that names the consumer group."""

    DEDUP_ENTITY: str = Field(
        DEFAULT,
        description=(
            "What is deduplicated: `module:ATTRIBUTE` of an Entity, such as `shop.orders:ORDER`. "
            "The module is searched for in the current directory, then among the installed "
            "packages. Topics, group and directories that are not set are named after the entity."
        ),
    )
    KAFKA_SRC_PRODUCTS_TOPIC: TopicName = Field(
        "src_products", description="Compacted output topic; also the changelog of the state table."
    )
    KAFKA_DLQ_TOPIC: TopicName = Field("products.dlq", description="Topic of dead letters.")
    DEDUP_APP_ID: GroupName = Field(
        "product-dedup", description="Application id; also the name of the consumer group."
    )
    DEDUP_DATA_DIR: Path = Field(
        Path("product-dedup-data"),
        description="Directory of the RocksDB state, one per worker.",
    )
    DEDUP_CONTENT_FIELDS: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(words), Field(min_length=1)
    ] = Field(
        PRODUCT.content,
        description=(
            "Fields that are compared, comma-separated; no difference is a duplicate. Defaults to "
            "all fields of the entity but its id and its metadata."
        ),
    )
    DEDUP_UNKNOWN_FIELDS: UnknownFields = Field(
        "drop",
        description=(
            "How fields that the entity's model does not name are handled: with `pass` the row "
            "keeps them as JSON, and DEDUP_CONTENT_FIELDS may name them."
        ),
    )
    DEDUP_ORDER: Literal["event_time", "arrival"] = Field(
        "event_time", description="Which event is newer; with `arrival` no event is stale."
    )
    DEDUP_UNKNOWN_ACTION: UnknownActions = Field(
        "update", description="How an event with an unknown action is handled."
    )
    DEDUP_REFRESH_AFTER: Duration | None = Field(
        None,
        description=(
            "Re-emit an unchanged state when its last emission is older than this: `90s`, `10m`, "
            "`24h`, `7d`; a number alone is seconds. The same as DEDUP_WINDOW with the strategy "
            "`latest` and a fixed window."
        ),
    )
    DEDUP_STRATEGY: Strategy = Field(
        "latest",
        description=(
            "What a duplicate is: content equal to the `latest` known state, `distinct` content "
            "emitted for the id within DEDUP_WINDOW, or an `event_id` emitted within it."
        ),
    )
    DEDUP_WINDOW: Duration | None = Field(
        None,
        description=(
            "How long a duplicate is one, such as `10m`, its end not included. Required by "
            "`distinct` and `event_id`, for which it is by event time."
        ),
    )
    DEDUP_WINDOW_KIND: WindowKind = Field(
        "fixed",
        description="Whether the window begins with the emission, or again with each duplicate.",
    )
    DEDUP_WINDOW_ENTRIES: int = Field(
        64,
        ge=1,
        le=1_000,
        description=(
            "How many contents or event ids of an id are remembered, 24 bytes each in the header "
            "of its records. The oldest are forgotten first."
        ),
    )
    DEDUP_OUTPUT_KEY_FORMAT: Literal["json", "plain"] = Field(
        "json",
        description="Record key on src_products: JSON as Flink writes it, or the bare id.",
    )
    DEDUP_GUARANTEE: Literal["exactly_once", "at_least_once"] = Field(
        "exactly_once",
        description="Whether source offsets are committed in the transaction of the output.",
    )
    DEDUP_DRY_RUN: bool = Field(
        False,
        description=(
            "Observe only: decide, count and show, beside a running worker or Flink job. Writes to "
            "no topic; uses a consumer group and a data directory of its own."
        ),
    )
    DEDUP_WEB_HOST: str = Field("127.0.0.1", description="Address the web server binds to.")
    DEDUP_WEB_PORT: int = Field(6066, ge=1, le=65535, description="Port of the web server.")
    DEDUP_WEB_URL: HttpAddress | None = Field(
        None,
        description=(
            "URL at which other workers reach this worker's pages, including its path. Defaults to "
            "DEDUP_WEB_HOST (the host name if that is every address) and DEDUP_WEB_PORT."
        ),
    )
    DEDUP_WEB_TOKEN: Annotated[SecretStr | None, AfterValidator(token)] = Field(
        None,
        description=(
            "Bearer token, or password, of every page except /livez and /readyz. Required when "
            "DEDUP_WEB_HOST is not a loopback address; never printed."
        ),
    )
    DEDUP_LOG_FORMAT: Literal["text", "json"] = Field("text", description="Format of log lines.")

    @model_validator(mode="before")
    @classmethod
    def _named_after_the_entity(cls, values: dict[str, Any]) -> dict[str, Any]:
        entity = resolve_entity(values.get("DEDUP_ENTITY", DEFAULT))
        named = {
            "KAFKA_PRODUCT_TOPIC": entity.plural,
            "KAFKA_SRC_PRODUCTS_TOPIC": f"src_{entity.plural}",
            "KAFKA_DLQ_TOPIC": f"{entity.plural}.dlq",
            "DEDUP_APP_ID": f"{entity.name}-dedup",
            "DEDUP_DATA_DIR": Path(f"{entity.name}-dedup-data"),
            "DEDUP_CONTENT_FIELDS": entity.content,
        }
        return named | values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_content()
        self._check_window()
        topics = (self.KAFKA_PRODUCT_TOPIC, self.KAFKA_SRC_PRODUCTS_TOPIC, self.KAFKA_DLQ_TOPIC)
        if len(set(topics)) < len(topics):
            raise ValueError(f"the three topics must differ, they are {', '.join(topics)}")
        if not is_loopback(self.DEDUP_WEB_HOST) and self.DEDUP_WEB_TOKEN is None:
            raise ValueError(open_door("DEDUP_WEB_HOST", self.DEDUP_WEB_HOST))
        return self

    def _check_content(self) -> None:
        if self.DEDUP_UNKNOWN_FIELDS == "pass":
            return
        accepted = self.entity.content
        if not set(self.DEDUP_CONTENT_FIELDS) <= set(accepted):
            raise ValueError(
                f"DEDUP_CONTENT_FIELDS={','.join(self.DEDUP_CONTENT_FIELDS)} is not accepted: "
                f"expected fields of {', '.join(accepted)}"
            )

    def _check_window(self) -> None:
        strategy, kind = self.DEDUP_STRATEGY, self.DEDUP_WINDOW_KIND
        fault = window_fault(strategy, kind, self.DEDUP_WINDOW, self.DEDUP_REFRESH_AFTER)
        if fault is not None:
            raise ValueError(fault)
        if strategy == "event_id" and "last_event_id" not in self.entity.provenance:
            raise ValueError(
                f"DEDUP_STRATEGY=event_id needs events with an id, and the envelope of "
                f"{self.entity.name} has none: expected latest or distinct"
            )

    @property
    def window_s(self) -> float | None:
        """The window in seconds, None without an end."""
        return self.DEDUP_REFRESH_AFTER if self.DEDUP_WINDOW is None else self.DEDUP_WINDOW

    @property
    def entity(self) -> Entity:
        """What is deduplicated."""
        return resolve_entity(self.DEDUP_ENTITY)

    def effective(self) -> "Settings":
        """Return the settings that a worker uses; a dry run has its own group and directory."""
        if not self.DEDUP_DRY_RUN:
            return self
        own = {
            "DEDUP_APP_ID": f"{self.DEDUP_APP_ID}-dry-run",
            "DEDUP_DATA_DIR": self.DEDUP_DATA_DIR / "dry-run",
        }
        return self.model_copy(update=own)

    @property
    def client_id(self) -> str:
        """The name by which the brokers know the worker's clients."""
        return self.DEDUP_APP_ID

    @property
    def topics(self) -> list[str]:
        """The topics that the worker reads and writes."""
        return [self.KAFKA_PRODUCT_TOPIC, self.KAFKA_SRC_PRODUCTS_TOPIC, self.KAFKA_DLQ_TOPIC]

    def topics_with(self, permission: str) -> list[str]:
        """Return the topics on which the worker needs a permission."""
        if permission == "WRITE":
            return [self.KAFKA_SRC_PRODUCTS_TOPIC, self.KAFKA_DLQ_TOPIC]
        if permission == "READ":
            return [self.KAFKA_PRODUCT_TOPIC, self.KAFKA_SRC_PRODUCTS_TOPIC]
        return self.topics

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


def open_door(option: str, host: str) -> str:
    """Return why the pages must not be exposed to a network without a token, and the cure."""
    return (
        f"{option}={host} offers the worker's pages to the network, so DEDUP_WEB_TOKEN must be set "
        "(such as to the output of `openssl rand -hex 32`); or bind to 127.0.0.1"
    )


SomeSettings = TypeVar("SomeSettings", bound=Settings)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from an environment. Raises SettingsError, with a line for each fault."""
    return read_settings(environ, Settings)


def read_settings(environ: Mapping[str, str], kind: type[SomeSettings]) -> SomeSettings:
    """Read settings of one kind, as `load_settings` reads the worker's."""
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
        faults += faults_in(error, kind)
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def _unknown(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{name} is not a setting{hint}"
