"""What the pages and `/api` say of an event in general."""

from typing import Any

from pydantic import Field

from dedup.web.models import ApiModel


class EventColumn(ApiModel):
    """A column of the row."""

    name: str
    kind: str
    nullable: bool
    limits: str = Field(description="What its values must be; empty if any fits.")
    content: bool = Field(description="Whether a difference makes an event a change.")
    flink: str = Field(description="Its type in Flink SQL.")
    postgres: str = Field(description="Its type in PostgreSQL.")


class EventDescription(ApiModel):
    """What an event is: its JSON Schema, an example, and the columns of the row."""

    entity: str
    envelope: str = Field(description="How events carry the row.")
    key: str = Field(description="What the record key is.")
    deletes: str = Field(description="Which events delete a row.")
    event_schema: dict[str, Any] = Field(description="JSON Schema of a whole event.")
    example_key: str | None
    example: dict[str, Any] | None = Field(
        description="An event with this key that is accepted; null if there is none to show."
    )
    columns: list[EventColumn]
