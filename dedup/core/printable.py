"""Texts of bytes and values of strangers that do nothing to a terminal."""

import json


def printable(data: bytes | None) -> str:
    r"""Return bytes as text that does nothing to a terminal: what can't be shown is as `\x1b`.

    Kafka allows null as the value of a header; it is empty here.
    """
    text = (data or b"").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def harmless(value: object) -> str:
    """Return the text of a value that came with an event; what a terminal would obey is escaped.

    JSON is as it stands in a row; null is `-`.
    """
    if value is None:
        return "-"
    text = str(value)
    if isinstance(value, (bool, dict, list)):
        text = json.dumps(value, ensure_ascii=False)
    return printable(text.encode("utf-8", "backslashreplace"))
