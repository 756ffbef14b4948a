"""The fast path and pydantic held against each other, on one record of any entity."""

from typing import Final

from dedup.core.codec import Codec, Whole
from dedup.core.dead_letter import DeadLetter
from dedup.core.normal_event import EventKind, NormalEvent

NOW: Final = "2026-01-01T00:00:00.000000Z"


def said_by(codec: Codec, key: bytes | None, value: bytes | None) -> NormalEvent:
    said = codec.read(key, value)
    assert isinstance(said, NormalEvent), said
    return said


def whole_of(codec: Codec, said: NormalEvent, known: bytes | None = None) -> Whole:
    whole = codec.whole(said, known)
    assert isinstance(whole, Whole), whole
    return whole


def agree(codec: Codec, key: bytes | None, value: bytes | None) -> str:
    """Hold the fast path against pydantic on one record; return what it was."""
    said, recognised = codec.read(key, value), codec.recognise(key, value, NOW)
    if isinstance(said, DeadLetter):
        assert recognised is None, (key, value, said)
        return said.reason
    if said.kind is EventKind.UPSERT:
        whole = whole_of(codec, said)
        row = codec.row(said, whole, NOW)
        if recognised is not None:
            assert recognised == (said.id, said.time, whole.canonical, row)
        read = codec.read_row(row)
        assert read is not None, row
        assert codec.canonical(read.values, read.extra) == whole.canonical
        assert (read.values[0], read.time) == (said.id, said.time)
        assert codec.row_fingerprint(row) == codec.fingerprint(whole.canonical)
    else:
        assert recognised is None
    return "recognised" if recognised is not None else said.kind
