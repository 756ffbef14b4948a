"""The data of the page of dead letters."""

from pydantic import Field

from dedup.web.models import ApiModel, Time, Unanswered


class DeadLetterEntry(ApiModel):
    """An event that could not be applied, as it is on the dead-letter topic."""

    position: str = Field(description="PARTITION:OFFSET, the argument of `dedup dlq show`.")
    time: Time
    reason: str
    message: str
    source: str
    key: str | None
    value: str | None = Field(
        description="The first 2,000 characters; bytes that are not text as \\x."
    )
    value_bytes: int = Field(
        description="Size of the event's value; the topic may contain only its first bytes."
    )
    replayed: Time | None = Field(description="Time at which it was replayed; null if it was not.")


class DeadLetters(ApiModel):
    """The newest dead letters of all workers, and their number."""

    topic: str
    on_topic: int = Field(description="Offsets in use: dead letters and transaction markers.")
    counted: dict[str, int] = Field(
        description="Dead letters by reason, counted by each worker that answered since its start."
    )
    unanswered: list[Unanswered] = Field(
        description="Partitions missing from `counted`; empty if none."
    )
    letters: list[DeadLetterEntry]
