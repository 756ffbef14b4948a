"""Shapes of events that belong to another envelope, and the setting they ask for."""

from typing import Any, Final

from dedup.core.entity import Debezium, Entity, Flat, Wrapped

_OPERATIONS: Final = {"op", "source"}
_HEARTBEAT: Final = frozenset({"ts_ms"})
_HEARTBEAT_TIMES: Final = ("ts_ms", "ts_us", "ts_ns")
_OF_OTHER_TOPICS: Final = {
    frozenset({"status", "id", "event_count"}): "a transaction event",
    frozenset({"databaseName", "ddl"}): "a schema change",
    _HEARTBEAT: "a heartbeat",
}


def foreign_shape(document: Any, entity: Entity) -> str | None:
    """Return a hint when an event looks like one of another envelope; None when it does not."""
    if not isinstance(document, dict):
        return None
    is_debezium = isinstance(entity.envelope, Debezium)
    inner = document.get("payload")
    in_schema = "schema" in document and isinstance(inner, dict)
    members = inner if in_schema and isinstance(inner, dict) else document
    for of, topic in _OF_OTHER_TOPICS.items():
        if of <= members.keys() and (of != _HEARTBEAT or len(members) <= len(_HEARTBEAT_TIMES)):
            return f"This looks like {topic} of Debezium, which is on a topic of its own."
    if not is_debezium and members.keys() >= _OPERATIONS and {"before", "after"} & members.keys():
        return "This looks like an event of Debezium: set envelope=Debezium()."
    if not is_debezium and in_schema:
        return "This looks like an event of Kafka Connect with its schema."
    return _row_or_wrapped(members, entity)


def _row_or_wrapped(members: dict[str, Any], entity: Entity) -> str | None:
    envelope = entity.envelope
    if entity.id in members and not isinstance(envelope, Flat):
        return "This looks like a row without an envelope: set envelope=Flat(time=...)."
    holders = [n for n, v in members.items() if isinstance(v, dict) and entity.id in v]
    if isinstance(envelope, Flat) and entity.id not in members and len(holders) == 1:
        return f"The row looks to be in {holders[0]!r}: set envelope=Wrapped(payload=...)."
    if isinstance(envelope, Wrapped) and envelope.payload not in members and len(holders) == 1:
        return f"The row looks to be in {holders[0]!r}, not in {envelope.payload!r}."
    return None
