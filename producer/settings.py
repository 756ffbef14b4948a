"""Connection settings of the producer, read from the environment by the demo's `KAFKA_*` names.

`load_settings(environ)` is the one way in. A value that can't be used is refused with a sentence
that gives the name, the value and what is accepted - never a secret.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dedup.core.errors import ExplainedError
from dedup.core.names import broker_list, topic_name

CLIENT_ID: Final = "product-producer"


class ProducerError(ExplainedError):
    """The producer can't go on; the text is a sentence that names the setting and the cure."""


class KafkaSettings(BaseSettings):
    """Where events are sent to and how, by the names of the environment variables."""

    model_config = SettingsConfigDict(
        case_sensitive=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    KAFKA_BOOTSTRAP_SERVERS: Annotated[str, AfterValidator(broker_list)] = Field(
        "localhost:9092",
        description="Brokers to ask first, comma-separated host:port; a port left out is 9092.",
    )
    KAFKA_PRODUCT_TOPIC: Annotated[str, AfterValidator(topic_name)] = Field(
        "products", description="Topic of product events; created when it is missing."
    )
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
    DEDUP_PARTITIONS: int = Field(4, ge=1, description="Partitions of a topic created here.")
    DEDUP_REPLICATION_FACTOR: int = Field(
        1, ge=1, le=32767, description="Replicas of a topic created here."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        *_others: Any,
        **_more: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what is handed over: the environment is an argument."""
        return (init_settings,)

    @model_validator(mode="after")
    def _has_credentials(self) -> Self:
        if self.uses_sasl and (self.KAFKA_USER is None or self.KAFKA_PASSWORD is None):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.KAFKA_SECURITY_PROTOCOL} needs KAFKA_USER and "
                "KAFKA_PASSWORD."
            )
        return self

    @property
    def uses_sasl(self) -> bool:
        """Whether the protocol authenticates a user."""
        return self.KAFKA_SECURITY_PROTOCOL.startswith("SASL")

    def ssl_context(self) -> ssl.SSLContext | None:
        """Make the TLS context when the protocol asks for one. Raises ProducerError."""
        if not self.KAFKA_SECURITY_PROTOCOL.endswith("SSL"):
            return None
        try:
            return ssl.create_default_context(cafile=self.KAFKA_CERT)
        except OSError as error:  # ssl.SSLError is one
            reason = error.strerror or str(error)
            if isinstance(error, ssl.SSLError):
                reason = "it holds no certificate in PEM form"
            raise ProducerError(
                f"KAFKA_CERT={self.KAFKA_CERT} can't be read: {reason}. Name the file of the CA "
                "certificates, or leave it out to trust the system's."
            ) from None

    def client_arguments(self) -> dict[str, Any]:
        """Return the connection arguments of an aiokafka client. Raises ProducerError."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.KAFKA_BOOTSTRAP_SERVERS,
            "security_protocol": self.KAFKA_SECURITY_PROTOCOL,
            "ssl_context": self.ssl_context(),
            "client_id": CLIENT_ID,
        }
        if self.uses_sasl and self.KAFKA_PASSWORD is not None:
            arguments |= {
                "sasl_mechanism": self.KAFKA_SASL_MECHANISM,
                "sasl_plain_username": self.KAFKA_USER,
                "sasl_plain_password": self.KAFKA_PASSWORD.get_secret_value(),
            }
        return arguments


def load_settings(environ: Mapping[str, str]) -> KafkaSettings:
    """Read the settings from an environment; an empty value is none. Raises ProducerError."""
    values = {name: environ[name] for name in KafkaSettings.model_fields if environ.get(name)}
    try:
        return KafkaSettings.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        raise ProducerError("\n".join(map(_sentence, faults))) from None


def _sentence(fault: Any) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ").removesuffix(".")
    if not fault["loc"]:
        return f"{message}."
    name = str(fault["loc"][0])
    shown = "" if name == "KAFKA_PASSWORD" else f"={fault['input']}"
    return f"{name}{shown} is not accepted: {message[:1].lower()}{message[1:]}."
