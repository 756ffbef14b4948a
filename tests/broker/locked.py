"""A broker behind SASL_SSL: a certificate of the test's own CA, users by PLAIN and by SCRAM."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dedup.localkafka import LocalKafka
from tests.broker.certificates import make_authority, make_keystore

USER: Final = "me"
PASSWORD: Final = "correct-horse-battery-0451"  # noqa: S105 - opens nothing but the test's broker
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-512")


@dataclass(frozen=True)
class LockedKafka:
    """Where the broker is, and the files of a CA it is trusted by and of one it is not."""

    bootstrap_servers: str
    ca: Path
    stranger: Path

    def settings(self, mechanism: str) -> dict[str, str]:
        """The seed's variables that open it."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": mechanism,
            "KAFKA_USER": USER,
            "KAFKA_PASSWORD": PASSWORD,
            "KAFKA_CERT": str(self.ca),
        }


@contextmanager
def locked_kafka(directory: Path) -> Iterator[LockedKafka]:
    """Run the broker. Users and passwords of both mechanisms are the same."""
    authority = make_authority(directory, "ca")
    stranger = make_authority(directory, "stranger")
    plain = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}";'
    )
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": plain,
        "listener.name.client.scram-sha-512.sasl.jaas.config": scram,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(make_keystore(directory, authority)),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.path),
    }
    user = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    with LocalKafka(properties=properties, format_options=("--add-scram", user)) as broker:
        yield LockedKafka(broker.bootstrap_servers, authority.path, stranger.path)
