"""Why the brokers can't be connected to: the setting that is wrong, and the cure.

aiokafka logs why a connection failed and raises a general error. So each broker is tried over a
connection of its own, which raises the specific one.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from dedup.kafka.settings import KafkaSettings

TRY_WITHIN_S: Final = 4.0
"""How long one broker may take to answer."""

CLOSED_TRIES: Final = 3
CLOSED_PAUSE_S: Final = 1.0

Address = tuple[str, int]

_CLOSED: Final = (KafkaConnectionError, ConnectionResetError, BrokenPipeError)


class ConnectionFault(NamedTuple):
    """Why no broker could be used. No retry helps with a lasting fault."""

    message: str
    lasting: bool
    why: str
    """The reason alone, without a setting or a cure."""


async def explain_connection(settings: KafkaSettings) -> str | None:
    """Return why the brokers refuse us for good; None when they don't, or when a retry may help.

    Takes at most `TRY_WITHIN_S` for each bootstrap server, and some times that when brokers close
    the connection.
    """
    fault = await connection_fault(settings)
    return fault.message if fault is not None and fault.lasting else None


async def connection_fault(settings: KafkaSettings) -> ConnectionFault | None:
    """Try the bootstrap servers until one answers, then the addresses that it advertises.

    Returns None when a broker answers there too. Of several faults, returns a lasting one, else the
    last. Raises SettingsError for a KAFKA_CERT that holds no certificates.
    """
    found: ConnectionFault | None = None
    arguments = settings.kafka_client()
    for host, port, _ in collect_hosts(arguments.pop("bootstrap_servers"), randomize=False):
        fault, advertised = await _fault_of(host, port, arguments, settings)
        if fault is None:
            return await _advertised_fault(f"{host}:{port}", (host, port), advertised, settings)
        if found is None or fault.lasting or not found.lasting:
            found = fault
    return found


async def _advertised_fault(
    answered: str, tried: Address, advertised: list[Address], settings: KafkaSettings
) -> ConnectionFault | None:
    """Try the advertised addresses; return None when a broker answers at one of them."""
    arguments = settings.kafka_client()
    del arguments["bootstrap_servers"]
    found: ConnectionFault | None = None
    for host, port in advertised:
        if (host, port) == tried:
            return None
        fault, _ = await _fault_of(host, port, arguments, settings)
        if fault is None:
            return None
        found = ConnectionFault(
            f"The broker {answered} of KAFKA_BOOTSTRAP_SERVERS answered, but it advertises the "
            f"address {host}:{port}, which clients connect to: {fault.why}. Set "
            "advertised.listeners of the broker to an address that this machine can reach, or make "
            "that one reachable from here (DNS, /etc/hosts, the network).",
            lasting=False,
            why=fault.why,
        )
    return found


async def _fault_of(
    host: str, port: int, arguments: dict[str, Any], settings: KafkaSettings
) -> tuple[ConnectionFault | None, list[Address]]:
    """Return why a broker can't be used, or the addresses that it advertises."""
    broker = f"{host}:{port}"
    for attempt in range(1, CLOSED_TRIES + 1):
        try:
            return None, await _ask(host, port, arguments)
        except _CLOSED as error:
            # A broker that starts or stops closes connections too, but not for long.
            if attempt == CLOSED_TRIES:
                return _explained(error, broker, settings), []
            await asyncio.sleep(CLOSED_PAUSE_S)
        except (KafkaError, OSError) as error:  # TimeoutError and ssl.SSLError are OSErrors
            return _explained(error, broker, settings), []
    raise AssertionError(CLOSED_TRIES)


async def _ask(host: str, port: int, arguments: dict[str, Any]) -> list[Address]:
    """Connect and return the advertised addresses of the brokers.

    A broker answers the request for metadata only after authentication.
    """
    async with connected(host, port, arguments) as connection:
        answer = await connection.send(MetadataRequest([]))
        return [(advertised[1], advertised[2]) for advertised in answer.brokers]


@asynccontextmanager
async def connected(
    host: str, port: int, arguments: dict[str, Any]
) -> AsyncIterator[AIOKafkaConnection]:
    """Open a connection to one broker; it raises the specific errors."""
    connection = AIOKafkaConnection(
        host, port, request_timeout_ms=int(TRY_WITHIN_S * 1000), **arguments
    )
    reached = False
    try:
        await connection.connect()
        reached = True
        yield connection
    except KafkaError:
        reached = True  # refused by a broker that was reached
        raise
    finally:
        closed = connection.close()
        if reached:  # without the end of the TLS session the socket stays open
            await asyncio.wait({closed}, timeout=TRY_WITHIN_S)


def _explained(error: Exception, broker: str, settings: KafkaSettings) -> ConnectionFault:
    """Return the fault that an error of `_ask` stands for, specific errors first."""
    protocol = settings.KAFKA_SECURITY_PROTOCOL
    mechanism = settings.KAFKA_SASL_MECHANISM
    match error:
        case SaslAuthenticationFailed() | AuthenticationFailedError():
            message = (
                f"The broker {broker} did not accept KAFKA_USER={settings.KAFKA_USER} with its "
                f"KAFKA_PASSWORD by KAFKA_SASL_MECHANISM={mechanism}: correct these settings."
            )
        case UnsupportedSaslMechanismError():
            message = (
                f"The broker {broker} does not offer KAFKA_SASL_MECHANISM={mechanism}: set one "
                "of its sasl.enabled.mechanisms."
            )
        case IllegalSaslStateError():
            message = (
                f"The broker {broker} does not use SASL: KAFKA_SECURITY_PROTOCOL={protocol} must "
                f"be {protocol.removeprefix('SASL_')} there."
            )
        case ssl.SSLCertVerificationError():
            message = (
                f"The certificate of the broker {broker} can't be trusted "
                f"({error.verify_message.rstrip('.')}): set KAFKA_CERT to the file of the CA that "
                "signed it, and name brokers in KAFKA_BOOTSTRAP_SERVERS as their certificates do."
            )
        case ssl.SSLError():
            message = (
                f"The broker {broker} does not answer in TLS ({error.reason}): "
                f"correct KAFKA_SECURITY_PROTOCOL={protocol} or the port."
            )
        case _ if isinstance(error, _CLOSED):
            message = (
                f"The broker {broker} closes the connection without an answer: correct "
                f"KAFKA_SECURITY_PROTOCOL={protocol} to what that port speaks."
            )
        case _:
            return _unreached(error, broker)
    why = f"it refuses the client ({type(error).__name__})"
    return ConnectionFault(message, lasting=True, why=why)


def _unreached(error: Exception, broker: str) -> ConnectionFault:
    match error:
        case socket.gaierror() | UnicodeError():
            why = "its name is unknown"
        case TimeoutError():
            why = f"no answer in {TRY_WITHIN_S:.0f} s"
        case ConnectionRefusedError():
            why = "nothing listens there"
        case _:
            why = str(error) or type(error).__name__
    message = (
        f"No broker answers at {broker} ({why}). Start Kafka there, or set "
        "KAFKA_BOOTSTRAP_SERVERS to what it listens on."
    )
    return ConnectionFault(message, lasting=False, why=why)
