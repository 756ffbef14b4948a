"""Settings of the producer, read from the environment: the Kafka settings of the worker."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from dedup.core.errors import SettingsError
from dedup.kafka.settings import KafkaSettings, faults_in

CLIENT_ID: Final = "product-producer"


class ProducerSettings(KafkaSettings):
    """Where events are sent to, by the names of the environment variables."""

    @property
    def client_id(self) -> str:
        """The name by which the brokers know the producer."""
        return CLIENT_ID


def load_settings(environ: Mapping[str, str]) -> ProducerSettings:
    """Read the settings from an environment; an empty value counts as not set.

    Names that are not the producer's are ignored, such as the worker's. Raises SettingsError.
    """
    names = ProducerSettings.model_fields
    try:
        return ProducerSettings.model_validate({n: environ[n] for n in names if environ.get(n)})
    except ValidationError as error:
        raise SettingsError("\n".join(faults_in(error, ProducerSettings))) from None
