"""Validates broker addresses and names of topics and groups, as Kafka and its clients accept them.

Each function returns the value in its normal form, or raises ValueError with the fault and what is
accepted. The settings of worker, commands, sink and producer use them.
"""

import re
from ipaddress import IPv6Address
from typing import Final

_MAX_PORT: Final = 65535
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_BRACKETED: Final = re.compile(r"\[([^\[\]]*)\](?::(.*))?")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+_.-]*://")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_GROUP: Final = re.compile(r"[A-Za-z0-9._:/@+-]{1,200}")
_QUOTES: Final = "\"'`\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"

_BROKERS_EXPECTED: Final = "expected host:port, or several with commas between them"


def broker_list(value: str) -> str:
    """Return brokers as `host:port` with commas between them; a port left out is 9092."""
    _refuse_quotes(value, _BROKERS_EXPECTED)
    return ",".join(_broker(item.strip()) for item in value.split(","))


def _broker(item: str) -> str:
    if not item:
        raise ValueError(f"there is nothing before or after a comma; {_BROKERS_EXPECTED}")
    if scheme := _SCHEME.match(item):
        raise ValueError(f"leave out {scheme[0]}; {_BROKERS_EXPECTED}")
    if bracketed := _BRACKETED.fullmatch(item):
        address, port = bracketed.groups()
        _check_ipv6(address)
    else:
        host, colon, rest = item.partition(":")
        if ":" in rest:
            raise ValueError(f"write {item!r} as [address]:port if it is IPv6; {_BROKERS_EXPECTED}")
        if not host.isascii():
            raise ValueError(f"{host!r} is not ASCII; write it in its DNS form (xn--...)")
        if not _HOST.fullmatch(host):
            raise ValueError(f"{host!r} is not a host name; {_BROKERS_EXPECTED}")
        port = rest if colon else None
    if port is not None and not (_PORT.fullmatch(port) and 0 < int(port) <= _MAX_PORT):
        raise ValueError(f"{port!r} is not a port from 1 to {_MAX_PORT}; {_BROKERS_EXPECTED}")
    return item


def _check_ipv6(address: str) -> None:
    try:
        IPv6Address(address)
    except ValueError:
        raise ValueError(f"[{address}] is not an IPv6 address; {_BROKERS_EXPECTED}") from None


def topic_name(value: str) -> str:
    """Return the name of a topic."""
    expected = "expected up to 249 letters, digits, '.', '_' and '-'"
    _refuse_quotes(value, expected)
    if value in (".", ".."):
        raise ValueError(f"Kafka does not allow that name; {expected}")
    if not _TOPIC.fullmatch(value):
        raise ValueError(expected)
    return value


def group_name(value: str) -> str:
    """Return the name of a consumer group, which transactional ids begin with."""
    expected = "expected up to 200 letters, digits and signs of '._-:/@+'"
    _refuse_quotes(value, expected)
    if not _GROUP.fullmatch(value):
        raise ValueError(expected)
    return value


def _refuse_quotes(value: str, expected: str) -> None:
    if any(quote in value for quote in _QUOTES):
        raise ValueError(f"remove the quotes, which are part of the value; {expected}")
