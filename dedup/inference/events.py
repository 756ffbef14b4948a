"""The events of a sample: JSON objects, taken out of the schema that Kafka Connect adds."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from dedup.core.errors import ExplainedError
from dedup.core.strict_json import read_json
from dedup.inference.observed import json_type

_CONNECT: Final = {"schema", "payload"}
_OPERATIONS: Final = frozenset("crudtm")
_MAGIC_BYTE_SIZE: Final = 5


class InferenceError(ExplainedError):
    """No entity can be inferred from these events; the text says why, and what to do."""


class SampledRecord(NamedTuple):
    """A record of the topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None

    @property
    def position(self) -> str:
        """Return partition and offset for people."""
        return f"{self.partition}/{self.offset}"


class SampledEvent(NamedTuple):
    """A record whose value is a JSON object; `schema` is that of Kafka Connect, if it has one."""

    record: SampledRecord
    body: dict[str, Any]
    schema: object = None


class Events(NamedTuple):
    """The events of a sample, and how many records were something else."""

    events: list[SampledEvent]
    nulls: int
    others: Counter[str]
    """What the values of other records are, such as `no JSON`."""

    examples: dict[str, str]
    """The position of the first of each of these."""


def read_events(records: Iterable[SampledRecord]) -> Events:
    """Return the events of records. Raises InferenceError when there are none."""
    found = Events([], 0, Counter(), {})
    nulls = 0
    for record in records:
        if record.value is None:
            nulls += 1
            continue
        try:
            document = read_json(record.value)
        except ValueError:
            _count(found, _no_json(record.value), record)
            continue
        schema = None
        if isinstance(document, dict) and document.keys() == _CONNECT:
            schema, document = document["schema"], document["payload"]
        if isinstance(document, dict):
            found.events.append(SampledEvent(record, document, schema))
        elif document is None:
            nulls += 1
        else:
            _count(found, f"JSON of type {json_type(document)}", record)
    if not found.events:
        raise InferenceError(_nothing(found.others, found.examples, nulls))
    return found._replace(nulls=nulls)


def _count(found: Events, what: str, record: SampledRecord) -> None:
    found.others[what] += 1
    found.examples.setdefault(what, record.position)


def _no_json(value: bytes) -> str:
    if value.startswith(b"\0") and len(value) > _MAGIC_BYTE_SIZE:
        return "no JSON, but Avro or Protobuf of a schema registry"
    return "no JSON"


def _nothing(others: Counter[str], examples: dict[str, str], nulls: int) -> str:
    told = [f"{count:,} are {what} (first at {examples[what]})" for what, count in others.items()]
    told += [f"{nulls:,} are null"] if nulls else []
    if not told:
        return "The topic has no records. Run the command again when there are events on it."
    return f"No value of the topic is a JSON object: {', '.join(told)}. Events have to be JSON."


def is_debezium(body: dict[str, Any]) -> bool:
    """Tell whether an object is a change event of Debezium."""
    op = body.get("op")
    return (
        isinstance(op, str)
        and op in _OPERATIONS
        and isinstance(body.get("source"), dict)
        and ("after" in body or "before" in body or op in "tm")
    )
