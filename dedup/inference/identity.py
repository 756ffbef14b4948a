"""The id of an entity: the field whose value is the record key, and the form of the key."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from dedup.inference.events import InferenceError, SampledEvent

KeyForm = Literal["text", "json"]
Place = tuple[str | None, str]
"""The member of the event that holds the field, None for the event itself; and the field."""

_MOST_NAMED: Final = 5


class Identity(NamedTuple):
    """Where the id is, and how record keys carry it. `matches` of `keyed` records agree."""

    payload: str | None
    field: str
    form: KeyForm
    matches: int
    keyed: int
    without_key: int
    also_at_top: bool
    """The event has a field of the same name and value beside the payload."""


def find_identity(
    events: Sequence[SampledEvent],
    rows: Sequence[dict[str, Any]],
    wanted: str | None,
    usual: KeyForm = "text",
) -> Identity:
    """Return the id of events whose rows are these, or in a member of these.

    `wanted` is the name that the user gave, `usual` the form of keys that have both. Raises
    InferenceError when there is no id, or several.
    """
    found: dict[Place, Counter[str]] = {}
    sizes: Counter[Place] = Counter()
    keyed = 0
    for event, row in zip(events, rows, strict=True):
        key = event.record.key
        keyed += key is not None
        readings = {} if key is None else readings_of(key)
        for payload, members in _places(row):
            for name, value in members.items():
                if wanted in (None, name):
                    counts = found.setdefault((payload, name), Counter())
                    counts.update(_matching(readings, name, value))
                    sizes[payload, name] = max(sizes[payload, name], len(members))
    place = _chosen(found, sizes, keyed, wanted)
    counts = found[place]
    form = usual
    if counts["json"] != counts["text"]:
        form = "json" if counts["json"] > counts["text"] else "text"
    payload, field = place
    above = found.get((None, field), Counter[str]())
    also = payload is not None and max(above.values(), default=0) > 0
    missing = len(events) - keyed
    return Identity(payload, field, form, max(counts.values(), default=0), keyed, missing, also)


def _places(row: dict[str, Any]) -> list[tuple[str | None, dict[str, Any]]]:
    inner = [(name, member) for name, member in row.items() if isinstance(member, dict)]
    return [(None, row), *inner]


def readings_of(key: bytes) -> dict[str, Any]:
    """Return what a key says as text, and as JSON; a JSON object stays one."""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return {}
    readings: dict[str, Any] = {"text": text}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return readings
    if isinstance(found, dict) and found.keys() == {"schema", "payload"}:
        found = found["payload"]
    return readings | {"json": found}


def _matching(readings: dict[str, Any], name: str, value: Any) -> list[str]:
    """Return the forms in which a key is this value of a field."""
    if not isinstance(value, (int, str)) or isinstance(value, bool):
        return []
    in_json = readings.get("json")
    if isinstance(in_json, dict):
        in_json = in_json.get(name) if len(in_json) == 1 else None
    is_same = type(in_json) is type(value) and in_json == value
    as_text = readings.get("text") == str(value)
    return ["text"] * as_text + ["json"] * is_same


def _chosen(
    found: dict[Place, Counter[str]], sizes: Counter[Place], keyed: int, wanted: str | None
) -> Place:
    matches = {place: max(counts.values(), default=0) for place, counts in found.items()}
    if not matches:
        raise InferenceError(f"No event has a field {wanted!r}. Name another one with --id.")
    most = max(matches.values())
    if wanted is None and most * 2 <= keyed:
        raise InferenceError(_no_id(found, keyed))
    best = [place for place, count in matches.items() if count == most]
    names = sorted({name for _, name in best})
    if len(names) > 1:
        raise InferenceError(
            f"Several fields equal the record key in {most:,} of {keyed:,} events: "
            f"{', '.join(names[:_MOST_NAMED])}. Name the id with --id."
        )
    return max(best, key=lambda place: sizes[place])


def _no_id(found: dict[Place, Counter[str]], keyed: int) -> str:
    if not keyed:
        return (
            "No record has a key, so the id can't be told; and the worker needs the id as the key "
            "of every record. Have the producer set it. To write a model all the same: --id FIELD."
        )
    best = max(found, key=lambda place: max(found[place].values(), default=0))
    count = max(found[best].values(), default=0)
    closest = f"; the closest is {best[1]}, in {count:,}" if count else ""
    return (
        f"No field equals the record key in most of {keyed:,} events{closest}. The key must be the "
        'id, as text (`7`) or as JSON (`7`, `"AB-1"`, `{"order_id":"AB-1"}`); keys of several '
        "columns are not supported. Name the id with --id to write a model all the same."
    )
