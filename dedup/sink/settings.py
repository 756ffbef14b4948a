"""Settings of the sink, read from the environment: the worker's Kafka settings and PostgreSQL's."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from dedup.core.setting_types import GroupName
from dedup.entities.resolve import DEFAULT, resolve_entity
from dedup.settings import Settings, read_settings

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]"  # the offsets table's name is 8 longer, at most 63


def _dsn(value: SecretStr) -> SecretStr:
    try:
        conninfo_to_dict(value.get_secret_value())
    except ProgrammingError:  # its message repeats parts of the value
        raise ValueError(
            "expected postgresql://user@host:5432/database, or keywords as in "
            "'host=db dbname=shop user=sink'"
        ) from None
    return value


class SinkSettings(Settings):
    """Every setting of `dedup sink postgres`, by the name of its environment variable."""

    group_setting: ClassVar[str] = "SINK_GROUP"

    POSTGRES_DSN: Annotated[SecretStr, AfterValidator(_dsn)] = Field(
        description=(
            "Connection to PostgreSQL, such as `postgresql://user@host/database`; never printed. "
            "`PGPASSWORD` and libpq's other variables supply what it leaves out."
        )
    )
    POSTGRES_TABLE: Annotated[
        str,
        StringConstraints(pattern=r"^([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,54}$"),
    ] = Field(
        "products",
        description=(
            "Table to keep up to date, with or without its schema. Its offsets are in a table "
            "named after it, `products_offsets`. Defaults to the plural of the entity's name."
        ),
    )
    SINK_GROUP: GroupName = Field(
        "product-dedup-sink",
        description=(
            "Consumer group. All sinks of one table share it. Named after the entity by default."
        ),
    )
    SINK_METRICS_HOST: str = Field(
        "127.0.0.1", description="Address at which the sink serves `/metrics`, without a token."
    )
    SINK_METRICS_PORT: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Port of the sink's `/metrics`. If unset, they are not served."
    )

    @model_validator(mode="before")
    @classmethod
    def _table_named_after_the_entity(cls, values: dict[str, Any]) -> dict[str, Any]:
        entity = resolve_entity(values.get("DEDUP_ENTITY", DEFAULT))
        named = {"POSTGRES_TABLE": entity.plural, "SINK_GROUP": f"{entity.name}-dedup-sink"}
        return named | values


def load_sink_settings(environ: Mapping[str, str]) -> SinkSettings:
    """Read the settings from an environment. Raises SettingsError, which lists every fault."""
    settings = read_settings(environ, SinkSettings)
    # The client id and the group in errors are taken from the application id.
    return settings.model_copy(update={"DEDUP_APP_ID": settings.SINK_GROUP})
