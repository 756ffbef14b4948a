"""Encodings of values that are not JSON in UTF-8, and the setting of the producer behind them."""

from typing import Final

from dedup.core.strict_json import read_json

_COMPRESSED: Final = "This looks compressed by {}: leave that to the producer's compression.type."
_FORMAT: Final = "This looks like {}: JSON is expected."
_WIDE: Final = "This looks like UTF-16 or UTF-32: write JSON in UTF-8."
_STARTS: Final = {
    b"\xef\xbb\xbf": "It begins with a byte order mark: write UTF-8 without one.",
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff", b"{\x00", b"\x00{", b"[\x00", b"\x00["), _WIDE),
    b"\x1f\x8b": _COMPRESSED.format("gzip"),
    b"\x28\xb5\x2f\xfd": _COMPRESSED.format("Zstandard"),
    b"\x04\x22\x4d\x18": _COMPRESSED.format("LZ4"),
    b"\x82SNAPPY\x00": _COMPRESSED.format("Snappy"),
    b"Obj\x01": _FORMAT.format("a file of Avro"),
    b"PAR1": _FORMAT.format("a file of Parquet"),
    b"\xac\xed\x00\x05": _FORMAT.format("a serialized Java object"),
    b"<": _FORMAT.format("XML"),
    b"eyJ": _FORMAT.format("JSON in Base64"),
    b"{'": _FORMAT.format("the text of a Python dict"),
}
_REGISTRY_HEADER: Final = 5
_OPENING: Final = (b"{", b"[", b'"')
_WHITE_SPACE: Final = b" \t\r\n"
_CONTROL: Final = bytes(set(range(0x20)) - set(_WHITE_SPACE))


def foreign_encoding(value: bytes) -> str | None:
    """Return a hint on a value that is not JSON in UTF-8; None when it is like nothing known."""
    if not value.strip(_WHITE_SPACE):
        return "It is empty: to delete a row, send a record without a value."
    for start, hint in _STARTS.items():
        if value.startswith(start):
            return hint
    if value.startswith(b"\x00") and len(value) > _REGISTRY_HEADER:
        return _of_a_schema_registry(value)
    return _of_bytes(value)


def _of_a_schema_registry(value: bytes) -> str:
    schema = int.from_bytes(value[1:_REGISTRY_HEADER], "big")
    is_json = value[_REGISTRY_HEADER:].lstrip(_WHITE_SPACE).startswith(_OPENING)
    what = "JSON after a header" if is_json else "Avro or Protobuf"
    return (
        f"This looks like {what} of Confluent's schema registry (schema {schema}): JSON alone is "
        "expected; change the producer's value.serializer, or of a connector set "
        "value.converter=org.apache.kafka.connect.json.JsonConverter."
    )


def _of_bytes(value: bytes) -> str | None:
    opens = value.lstrip(_WHITE_SPACE).startswith(_OPENING)
    try:
        value.decode()
    except UnicodeDecodeError:
        if opens:
            return "This looks like JSON in another encoding, such as Latin-1: write UTF-8."
    else:
        if opens:
            return _of_several(value)
        if value.translate(None, _CONTROL) == value:
            return None
    return (
        "This looks like a binary format, such as MessagePack, Protobuf or Avro: JSON is expected; "
        "change the producer's value.serializer."
    )


def _of_several(value: bytes) -> str | None:
    """Return a hint when each of the first two lines is a document."""
    lines = value.strip(_WHITE_SPACE).split(b"\n", 2)[:2]
    try:
        documents = [read_json(line) for line in lines]
    except ValueError:
        return None
    if len(documents) == 1 or not all(isinstance(each, dict) for each in documents):
        return None
    return "It has several lines of JSON: send a record for each event."
