"""The headers of a record of `src_products` as text."""

from collections.abc import Collection

from dedup.core.dead_letter import AnyHeader
from dedup.core.printable import printable
from dedup.core.records import STATE_HEADER, rebuilt_state, recorded
from dedup.core.window import ENTRY_BYTES


def shown_headers(headers: Collection[AnyHeader]) -> dict[str, str]:
    """Return the headers of a record by name; what is packed in ours is spelled out."""
    return {printable(name.encode()): _shown(name, value) for name, value in headers}


def _shown(name: str, value: bytes | None) -> str:
    found = recorded([(name, value)]) if name == STATE_HEADER else None
    if found is None or found.fingerprint is None or found.source is None:
        return printable(value)
    partition, offset = found.source
    text = (
        f"fingerprint={found.fingerprint.hex()} event_time={found.event_time} "
        f"source={partition}/{offset} duplicates={found.duplicates}"
    )
    state = rebuilt_state(None, [(name, value)], 0, lambda _: None)
    remembered = 0 if state is None else len(state.remembered) // ENTRY_BYTES
    return f"{text} remembered={remembered}" if remembered else text
