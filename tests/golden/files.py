"""The golden files: what earlier versions wrote, byte for byte, and what it meant to them.

`<kind>/<version>/<name>.json`; bytes are hex. Events and records are numbered in `write`, `states`
by `state.LAYOUT`. A file is never
changed: when the code writes something else, `python -m tests.golden.write` adds a directory.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec.structs import asdict

from dedup.core.dead_letter import Header
from dedup.core.state import State
from dedup.core.times import time_text
from tests.support.products import ProductEvent

ROOT: Final = Path(__file__).parent


class Golden(NamedTuple):
    """One golden file."""

    kind: str
    version: int
    name: str
    document: dict[str, Any]

    @property
    def path(self) -> Path:
        """Where it stands."""
        return ROOT / self.kind / str(self.version) / f"{self.name}.json"

    def bytes(self, member: str) -> bytes | None:
        """Return bytes of the document; None where it holds null."""
        text = self.document[member]
        return None if text is None else bytes.fromhex(text)

    @property
    def headers(self) -> list[Header]:
        """The headers of a record."""
        return [(name, bytes.fromhex(value)) for name, value in self.document["headers"]]

    @property
    def event(self) -> ProductEvent:
        """What an event meant."""
        return read_event_document(self.document["means"])

    @property
    def state(self) -> State:
        """What a record or the bytes of a state meant."""
        return read_state(self.document["means"])

    def write(self) -> None:
        """Write it, once and for all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("x") as file:
            json.dump(self.document, file, indent=2)
            file.write("\n")


def versions(kind: str) -> list[int]:
    """Return the versions of a kind that have a directory with files."""
    directories = {path.parent for path in (ROOT / kind).glob("*/*.json")}
    return sorted(int(directory.name) for directory in directories)


def golden(kind: str) -> list[Golden]:
    """Read every file of a kind."""
    return [
        Golden(kind, version, path.stem, json.loads(path.read_text()))
        for version in versions(kind)
        for path in sorted((ROOT / kind / str(version)).glob("*.json"))
    ]


def event_document(event: ProductEvent) -> dict[str, Any]:
    """Return an event as JSON: of its product the fields that were given, times as text."""
    product = {
        name: time_text(value) if isinstance(value, datetime) else value
        for name, value in event.product.items()
    }
    return event._asdict() | {"product": product}


def read_event_document(document: dict[str, Any]) -> ProductEvent:
    """Read an event from JSON."""
    given = {
        name: datetime.fromisoformat(value) if name.endswith("_at") and value else value
        for name, value in document["product"].items()
    }
    return ProductEvent(**document | {"product": given})


def state_document(state: State) -> dict[str, Any]:
    """Return a state as JSON; the row stays readable."""
    row = None if state.row is None else state.row.decode()
    packed = {"fingerprint": state.fingerprint.hex(), "remembered": state.remembered.hex()}
    return asdict(state) | packed | {"row": row}


def read_state(document: dict[str, Any]) -> State:
    """Read a state from JSON."""
    row = document["row"]
    return State(
        **document
        | {
            "fingerprint": bytes.fromhex(document["fingerprint"]),
            "remembered": bytes.fromhex(document.get("remembered", "")),
            "row": None if row is None else row.encode(),
        }
    )
