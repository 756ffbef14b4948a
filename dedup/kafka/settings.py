"""The settings of every Kafka client here: how to connect, and the topic of events.

The worker's, the sink's and the producer's settings inherit them. Values are handed over; nothing
here reads the environment.
"""

import ssl
from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dedup.core.errors import SettingsError
from dedup.core.setting_types import Brokers, TopicName

MOST_REPLICAS = 32_767
"""The protocol's limit: a 16-bit integer."""


class KafkaSettings(BaseSettings):
    """What a client needs to reach Kafka, by the names of the environment variables."""

    model_config = SettingsConfigDict(case_sensitive=True, frozen=True, hide_input_in_errors=True)

    KAFKA_BOOTSTRAP_SERVERS: Brokers = Field(
        "localhost:9092",
        description="Bootstrap servers, comma-separated host:port; the port defaults to 9092.",
    )
    KAFKA_USER: str | None = Field(None, description="SASL user.")
    KAFKA_PASSWORD: SecretStr | None = Field(None, description="SASL password; never printed.")
    KAFKA_SECURITY_PROTOCOL: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Security protocol of the brokers' listener."
    )
    KAFKA_SASL_MECHANISM: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="SASL mechanism that authenticates the user."
    )
    KAFKA_CERT: Path | None = Field(
        None, description="PEM file of the CA certificates that sign the brokers' certificates."
    )
    KAFKA_PRODUCT_TOPIC: TopicName = Field("products", description="Topic of product events.")
    DEDUP_PARTITIONS: int = Field(
        4,
        ge=1,
        description=(
            "Partitions of topics that are created, unless the source or the output topic exists: "
            "then as many as it has."
        ),
    )
    DEDUP_REPLICATION_FACTOR: int = Field(
        1, ge=1, le=MOST_REPLICAS, description="Replication factor of a topic that is created."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        *_others: Any,
        **_more: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the one source: the values that are handed over."""
        return (init_settings,)

    @model_validator(mode="after")
    def _can_connect(self) -> Self:
        if self.uses_sasl and (self.KAFKA_USER is None or self.KAFKA_PASSWORD is None):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.KAFKA_SECURITY_PROTOCOL} needs KAFKA_USER and "
                "KAFKA_PASSWORD"
            )
        if self.KAFKA_CERT is not None and not self.KAFKA_CERT.is_file():
            raise ValueError(f"KAFKA_CERT={self.KAFKA_CERT} is no readable file")
        return self

    @property
    @abstractmethod
    def client_id(self) -> str:
        """The name by which the brokers know this client."""

    @property
    def topics(self) -> list[str]:
        """The topics that this client reads or writes."""
        return [self.KAFKA_PRODUCT_TOPIC]

    def topics_with(self, permission: str) -> list[str]:  # noqa: ARG002 - for those that override it
        """Return the topics on which this client needs a permission: READ, WRITE, DESCRIBE..."""
        return self.topics

    @property
    def uses_sasl(self) -> bool:
        """Whether the protocol authenticates a user."""
        return self.KAFKA_SECURITY_PROTOCOL.startswith("SASL")

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context when the protocol asks for one. Raises SettingsError."""
        if not self.KAFKA_SECURITY_PROTOCOL.endswith("SSL"):
            return None
        try:
            return ssl.create_default_context(cafile=self.KAFKA_CERT)
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(
                f"KAFKA_CERT={self.KAFKA_CERT} can't be read as PEM certificates: {error}"
            ) from None

    def kafka_client(self) -> dict[str, Any]:
        """Return the connection arguments of an aiokafka client. Raises SettingsError."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.KAFKA_BOOTSTRAP_SERVERS,
            "security_protocol": self.KAFKA_SECURITY_PROTOCOL,
            "ssl_context": self.ssl_context(),
            "client_id": self.client_id,
        }
        if self.uses_sasl and self.KAFKA_PASSWORD is not None:
            arguments |= {
                "sasl_mechanism": self.KAFKA_SASL_MECHANISM,
                "sasl_plain_username": self.KAFKA_USER,
                "sasl_plain_password": self.KAFKA_PASSWORD.get_secret_value(),
            }
        return arguments


def faults_in(error: ValidationError, kind: type[KafkaSettings]) -> list[str]:
    """Return a line for each value that is not accepted: its name, the value unless it is secret.

    A line says what is accepted, too.
    """
    return [_fault(each, kind) for each in error.errors(include_url=False)]


def _fault(fault: Any, kind: type[KafkaSettings]) -> str:
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


def redacted(settings: KafkaSettings) -> dict[str, str | None]:
    """Return the text of every setting as in the environment; secrets as `***`."""
    return {name: _shown(getattr(settings, name)) for name in type(settings).model_fields}


def _shown(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)
