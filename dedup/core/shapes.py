"""Shapes of events that belong to another envelope or format, and the setting they ask for.

They are looked for once an event is refused, and only where it lacks the shape of the entity's own.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from dedup.core.entity import Debezium, Entity, Flat, Wrapped
from dedup.core.strict_json import read_json

IN_ENTITY: Final = "in the entity that DEDUP_ENTITY names"

_OPERATIONS: Final = {"op", "source"}
_CLOUD_EVENT: Final = {"specversion", "id", "source", "type"}
_HEARTBEAT: Final = frozenset({"ts_ms"})
_HEARTBEAT_TIMES: Final = ("ts_ms", "ts_us", "ts_ns")
_OF_OTHER_TOPICS: Final = {
    frozenset({"status", "id", "event_count"}): "a transaction event",
    frozenset({"databaseName", "ddl"}): "a schema change",
    _HEARTBEAT: "a heartbeat",
}
_BASE64_OF_AN_OBJECT: Final = "eyJ"
_LONGEST_SHOWN: Final = 40

_Members = Mapping[str, Any]


def foreign_shape(document: Any, entity: Entity) -> str | None:
    """Return a hint when an event looks like one of another envelope; None when it does not."""
    if not isinstance(document, dict):
        return _of_no_object(document)
    if _has_own_shape(document, entity):
        return None
    inner = document.get("payload")
    in_schema = "schema" in document and isinstance(inner, dict)
    members: _Members = inner if in_schema and isinstance(inner, dict) else document
    is_debezium = isinstance(entity.envelope, Debezium)
    if is_debezium and _has_own_shape(members, entity):
        return None
    return (
        _of_connect(members, in_schema=in_schema, is_debezium=is_debezium)
        or _row_or_wrapped(members, entity)
        or _of_another_entity(members, entity)
    )


def _has_own_shape(members: _Members, entity: Entity) -> bool:
    envelope = entity.envelope
    if isinstance(envelope, Flat):
        return entity.id in members and envelope.time in members
    if isinstance(envelope, Wrapped):
        return isinstance(members.get(envelope.payload), dict)
    return "op" in members and not members.keys().isdisjoint(("before", "after"))


def _of_no_object(document: object) -> str | None:
    if document is None:
        return "This is null as JSON: to delete a row, send a record without a value."
    if isinstance(document, list):
        return f"This is a list of {len(document):,}: send a record for each event."
    if isinstance(document, str):
        return _encoded_again(document, "This")
    return None


def _encoded_again(text: str, what: str) -> str | None:
    """Return a hint when a text holds JSON itself."""
    if text.startswith(_BASE64_OF_AN_OBJECT):
        return f"{what} looks like JSON in Base64: check the producer's value.serializer."
    try:
        document = read_json(text.encode())
    except ValueError:
        return None
    if not isinstance(document, (dict, list)):
        return None
    return (
        f"{what} is a text of JSON, which was encoded twice: check the producer's value.serializer."
    )


def _of_connect(members: _Members, *, in_schema: bool, is_debezium: bool) -> str | None:
    for of, topic in _OF_OTHER_TOPICS.items():
        if of <= members.keys() and (of != _HEARTBEAT or len(members) <= len(_HEARTBEAT_TIMES)):
            return (
                f"This looks like {topic} of Debezium, which is on a topic of its own: "
                "set KAFKA_PRODUCT_TOPIC to the topic of a table."
            )
    if is_debezium:
        return None
    if members.keys() >= _OPERATIONS and {"before", "after"} & members.keys():
        return f"This looks like an event of Debezium: set envelope=Debezium() {IN_ENTITY}."
    if in_schema:
        return (
            "This looks like an event of Kafka Connect with its schema: "
            "set value.converter.schemas.enable=false in the connector."
        )
    return None


def _row_or_wrapped(members: _Members, entity: Entity) -> str | None:
    envelope = entity.envelope
    is_in_data = isinstance(envelope, Wrapped) and envelope.payload == "data"
    if members.keys() >= _CLOUD_EVENT and not is_in_data:
        return (
            "This looks like a CloudEvent: set envelope=Wrapped(payload='data', time='time', "
            f"event_id='id', action='type') {IN_ENTITY}."
        )
    if entity.id in members and not isinstance(envelope, Flat):
        return (
            f"This looks like a row without an envelope: set envelope=Flat(time=...) {IN_ENTITY}."
        )
    if isinstance(envelope, Wrapped) and isinstance(text := members.get(envelope.payload), str):
        return _encoded_again(text, _shown(envelope.payload))
    holders = [n for n, v in members.items() if isinstance(v, dict) and entity.id in v]
    if entity.id in members or len(holders) != 1:
        return None
    holder = _shown(holders[0])
    instead = f", not in {envelope.payload!r}" if isinstance(envelope, Wrapped) else ""
    return (
        f"The row looks to be in {holder}{instead}: "
        f"set envelope=Wrapped(payload={holder}, ...) {IN_ENTITY}."
    )


def _of_another_entity(members: _Members, entity: Entity) -> str | None:
    """Return a hint when nothing is there that an event of the entity has."""
    if not members or not members.keys().isdisjoint(_expected(entity)):
        return None
    return (
        f"It has nothing of an event of {entity.name}: is KAFKA_PRODUCT_TOPIC the right topic, "
        "and DEDUP_ENTITY the right entity?"
    )


def _expected(entity: Entity) -> Collection[str | None]:
    envelope = entity.envelope
    if isinstance(envelope, Wrapped):
        return envelope.payload, envelope.time, envelope.event_id, envelope.action
    if isinstance(envelope, Flat):
        return [field.name for field in entity.fields]
    return "op", "before", "after", "source"


def _shown(name: str) -> str:
    return repr(name[:_LONGEST_SHOWN])
