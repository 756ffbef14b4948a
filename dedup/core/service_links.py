"""Recognizes variables that Kubernetes adds to a pod for each Service of its namespace."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

_LINK: Final = re.compile(
    r"(.+?)_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
    r"|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)
_ADDRESS: Final = re.compile(r"(?:tcp|udp|sctp)://.*")


def added_by_kubernetes(environ: Mapping[str, str], prefix: str) -> tuple[set[str], list[str]]:
    """Return the variables with a prefix that belong to Services, and an error for each Service."""
    services: dict[str, list[str]] = defaultdict(list)
    for name in sorted(environ):
        link = _LINK.fullmatch(name) if name.startswith(prefix) else None
        if link is None or (name.endswith("_PORT") and not _is_of_a_service(name, environ)):
            continue
        services[link[1].lower().replace("_", "-")].append(name)
    sentences = [
        f"{names[0]}={environ[names[0]]} is not a setting: Kubernetes adds it"
        f"{f' and {len(names) - 1} more' if len(names) > 1 else ''} for the Service {service}. Set "
        "enableServiceLinks: false in the pod's spec, or rename the Service."
        for service, names in services.items()
    ]
    return {name for names in services.values() for name in names}, sentences


def _is_of_a_service(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable that may be a setting, such as DEDUP_WEB_PORT, has the value of a link."""
    return "_SERVICE_" in name or "_TCP_" in name or bool(_ADDRESS.fullmatch(environ[name]))
