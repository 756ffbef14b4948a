"""What a sample of events shows of one field: its types, its bounds and its forms."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from dedup.core.strict_json import read_json
from dedup.core.times import plain_time
from dedup.core.wire_forms import plain_date

_MOST_DISTINCT: Final = 64
_LONGEST_SHOWN: Final = 40
_UUID_CHARS: Final = 36
_JSON_TYPES: Final[dict[type, str]] = {
    bool: "boolean",
    int: "integer",
    Decimal: "number",
    str: "text",
    dict: "object",
    list: "list",
}
_INTEGER_TEXT: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
_DECIMAL_TEXT: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\.([0-9]+)")


class Observed:
    """The values of one field, added one by one."""

    def __init__(self) -> None:
        self.count = 0
        self.nulls = 0
        self.types: Counter[str] = Counter()
        """JSON types: integer, number (with a fraction), text, boolean, object, list, huge."""

        self.forms: Counter[str] = Counter()
        """Forms of the texts: time, date, uuid, integer, decimal, object, list, text."""

        self.examples: dict[str, Any] = {}
        self.distinct: Counter[Any] = Counter()
        """Scalar values and how often they came; counting ends above a limit."""

        self.least: int | None = None
        self.most: int | None = None
        self.whole = 0
        """The most digits before the decimal point; `places`: those after it."""

        self.places: set[int] = set()
        self.variable_scale = 0

    @property
    def has_few_values(self) -> bool:
        """Tell whether all distinct values were counted."""
        return len(self.distinct) <= _MOST_DISTINCT

    def add(self, value: Any) -> None:
        """Add a value as `read_json` read it."""
        if value is None:
            self.nulls += 1
            return
        self.count += 1
        kind = json_type(value)
        self.types[kind] += 1
        self.examples.setdefault(kind, value)
        if kind in {"integer", "number", "text", "boolean"} and self.has_few_values:
            self.distinct[value] += 1
        match kind:
            case "integer":
                self.least = value if self.least is None else min(self.least, value)
                self.most = value if self.most is None else max(self.most, value)
                self._add_digits(str(value))
            case "number":
                self._add_digits(f"{value:f}".rstrip("0"))
            case "text":
                self._add_text(value)
            case "object":
                self.variable_scale += value.keys() == {"scale", "value"}

    def example(self, kind: str) -> str:
        """Return the first value of a JSON type, shortened, for people."""
        return shown(self.examples.get(kind))

    def _add_text(self, value: str) -> None:
        form = text_form(value)
        self.forms[form] += 1
        if form in {"integer", "decimal"}:
            self._add_digits(value)

    def _add_digits(self, text: str) -> None:
        whole, _, fraction = text.removeprefix("-").partition(".")
        self.places.add(len(fraction))
        self.whole = max(self.whole, len(whole))


def json_type(value: Any) -> str:
    """Return the JSON type of a value that `read_json` read."""
    return _JSON_TYPES.get(type(value), "huge")


def text_form(value: str) -> str:
    """Return the most specific form of a text; `text` when it has none."""
    if _INTEGER_TEXT.fullmatch(value):
        return "integer"
    if _DECIMAL_TEXT.fullmatch(value):
        return "decimal"
    if value[:1] in {"{", "["}:
        return _json_form(value)
    for form, read in (("time", plain_time), ("date", plain_date), ("uuid", _uuid)):
        try:
            read(value)
        except ValueError:
            continue
        return form
    return "text"


def _uuid(value: str) -> UUID:
    """Read a UUID with hyphens; 32 digits alone may be any digest."""
    if len(value) != _UUID_CHARS:
        raise ValueError(value)
    return UUID(value)


def _json_form(value: str) -> str:
    try:
        found = read_json(value.encode())
    except ValueError:
        return "text"
    return "object" if isinstance(found, dict) else "list"


def shown(value: Any) -> str:
    """Return a value as JSON, shortened."""
    text = str(value) if isinstance(value, Decimal) else _json(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def observe(rows: Iterable[Mapping[str, Any]]) -> dict[str, Observed]:
    """Return what the members of objects hold, in the order in which they first appear."""
    found: dict[str, Observed] = {}
    for row in rows:
        for name, value in row.items():
            if name not in found:
                found[name] = Observed()
            found[name].add(value)
    return found
