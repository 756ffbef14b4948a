"""Types of settings: the accepted values, and the error otherwise."""

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from dedup.core.names import broker_list, group_name, topic_name
from dedup.core.window import Strategy, WindowKind

Brokers = Annotated[str, AfterValidator(broker_list)]
TopicName = Annotated[str, AfterValidator(topic_name)]
GroupName = Annotated[str, AfterValidator(group_name)]

_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([smhd]?)", re.ASCII)
_UNIT_S: Final = {"": 1, "s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None or float(found[1]) == 0:
        raise ValueError("expected a duration above 0 such as 90s, 10m, 24h or 7d; alone, seconds")
    return float(found[1]) * _UNIT_S[found[2]]


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
"""Seconds, read from a number of them or from a number with a unit: `90s`, `10m`, `24h`, `7d`."""

_PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?")
_LONGEST_PATH: Final = 255
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{16,}=*")  # what an Authorization header can carry


def words(value: object) -> object:
    """Return the words of a comma-separated text."""
    return [w.strip() for w in value.split(",") if w.strip()] if isinstance(value, str) else value


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only; of names, only localhost is."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token(value: SecretStr | None) -> SecretStr | None:
    """Return a token. Raises ValueError for one that a header can't carry or that is short."""
    if value is not None and not _TOKEN.fullmatch(value.get_secret_value()):
        raise ValueError("expected at least 16 letters, digits and signs of '-._~+/'")
    return value


def is_plain_path(path: str) -> bool:
    """Return whether this is a path of plain segments, none of which is `.` or `..`."""
    return len(path) <= _LONGEST_PATH and _PLAIN_PATH.fullmatch(path) is not None


def _address(value: str) -> str:
    url = urlsplit(value)
    path = url.path.rstrip("/")
    plain = value.rstrip("/") == f"{url.scheme}://{url.netloc}{path}" and "@" not in url.netloc
    if url.scheme not in ("http", "https") or not url.hostname or not plain:
        raise ValueError("expected an address such as http://worker-1:6066")
    if path and not is_plain_path(path):
        raise ValueError("expected a path of plain letters, such as in http://example.org/dedup")
    return value.rstrip("/")


HttpAddress = Annotated[str, AfterValidator(_address)]


def window_fault(
    strategy: Strategy, kind: WindowKind, window_s: float | None, refresh_after_s: float | None
) -> str | None:
    """Return what contradicts in the settings of a window, or what is missing; None for nothing."""
    needs = f"DEDUP_STRATEGY={strategy}"
    if strategy == "latest":
        needs = "DEDUP_WINDOW_KIND=sliding" if kind == "sliding" else ""
    if refresh_after_s is not None and (needs or window_s not in (None, refresh_after_s)):
        return (
            f"DEDUP_REFRESH_AFTER={refresh_after_s:g} contradicts "
            f"{needs or f'DEDUP_WINDOW={window_s:g}'}: set DEDUP_WINDOW alone"
        )
    if needs and window_s is None:
        return f"{needs} needs DEDUP_WINDOW, such as DEDUP_WINDOW=24h"
    return None
