"""Writes docs/configuration.md from the settings: `python -m docs.generate.configuration`."""

from collections.abc import Mapping
from typing import Final, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dedup.settings import Settings
from dedup.sink.settings import SinkSettings

_HEAD: Final = """\
# Configuration

Settings are environment variables, read once when the worker starts. With an unknown `DEDUP_*`
name or an invalid value the worker does not start; the error names the setting, its value and the
accepted values. An empty value counts as not set. The producer reads the `KAFKA_*` settings too.

<!-- Written by `make docs` from dedup/settings.py. -->

"""


_SINK: Final = """
## The sink

`dedup sink postgres` reads the `KAFKA_*` settings and `DEDUP_LOG_FORMAT` too.

"""


def settings_table() -> str:
    """Return the table of all settings of the worker in Markdown."""
    return _table(Settings.model_fields)


def sink_table() -> str:
    """Return the table of the settings that only the sink has."""
    own = SinkSettings.model_fields.items()
    return _table({name: field for name, field in own if name not in Settings.model_fields})


def _table(fields: Mapping[str, FieldInfo]) -> str:
    rows = ["| setting | default | what it is |", "| --- | --- | --- |"]
    for name, field in fields.items():
        rows.append(f"| `{name}` | {_default(field)} | {field.description}{_choices(field)} |")
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is None or default is PydanticUndefined:
        return "-"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{', '.join(default) if isinstance(default, tuple) else default}`"


def _choices(field: FieldInfo) -> str:
    choices = [c for c in get_args(field.annotation) if isinstance(c, str)]
    return f" One of {', '.join(f'`{c}`' for c in choices)}." if len(choices) > 1 else ""


if __name__ == "__main__":
    print(_HEAD + settings_table() + _SINK + sink_table(), end="")  # noqa: T201 - this is the output
