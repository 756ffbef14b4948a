"""The data of the pages: `/api` returns these models as JSON, the HTML is rendered from them.

What depends on the entity is left open here and filled in by `dedup.web.entity_models`: the words
in braces, the type of ids, and the JSON names of the members `id` and `rows`.
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

ID: Final = "id"
VALUE: Final = "value"

Id = Annotated[int | str, ID]
"""The type of the entity's id: an integer or a text."""

Value = Annotated[str | int | None, VALUE]
"""A value in normal form; times and JSON are text. Entities with booleans have booleans too."""

Time = Annotated[str, Field(description="ISO 8601, UTC.")]
Warnings = Annotated[
    dict[str, str],
    Field(description="Conditions that need attention: a name and a description of each."),
]
DryRun = Annotated[bool, Field(description="Whether the worker only observes and writes nothing.")]
Outcomes = Annotated[dict[str, int], Field(description="Events by outcome.")]


class ApiModel(BaseModel):
    """The base of all models of the API, read from workers of other releases too.

    What is not known is ignored; a member that a release adds has a default.
    """

    model_config = ConfigDict(
        frozen=True,
        validate_by_name=True,
        serialize_by_alias=True,
        json_schema_serialization_defaults_required=True,
    )


class Unanswered(ApiModel):
    """Partitions that no worker answered for: they are missing from the response."""

    worker: str | None = Field(description="Address of their owner; null if no owner is known.")
    partitions: list[int]
    since: Time | None = Field(
        description="Time of the first request that the worker did not answer."
    )
    why: str = Field(description="The cause, and what to do.")


class Partition(ApiModel):
    """A partition, as reported by its owner."""

    partition: int
    worker: str = Field(description="Address of the worker that owns it.")
    lag_records: int | None = Field(description="Records not yet committed; null until known.")
    lag_seconds: float | None = Field(description="Age of the first record not yet committed.")
    committed_offset: int | None
    end_offset: int | None
    recovery_remaining_records: int
    rows: int | None = Field(description="{Names} known and not deleted; null while counting.")
    state_bytes: int


class Figures(ApiModel):
    """Current figures and totals of one worker, or of all workers of the group together."""

    since: Time = Field(
        description="Start of the worker; for a group, the start of its first worker. Each worker "
        "counts from its own start, so a restart resets its counts to 0."
    )
    events_per_second: float = Field(description="Average of the last 10 s.")
    emitted_per_second: float = Field(description="Records written to {output} per second.")
    would_emit_per_second: float | None = Field(
        description="Records that would be written, in a dry run; null otherwise."
    )
    duplicate_share: float | None = Field(
        description="Share of duplicates in the events of the last 5 minutes; null without events."
    )
    rows: int | None = Field(
        description="{Names} known and not deleted; null while the count is incomplete."
    )
    lag_records: int | None = Field(
        description="Records not yet committed; null unless it is known for every partition."
    )
    lag_seconds: float | None
    lag_as_of: Time | None = Field(description="Time of the brokers' last answer about the lag.")
    totals: Outcomes = Field(description="Events by outcome since the worker started.")
    recent: Outcomes = Field(description="Events by outcome in the last 5 minutes.")
    dead_letters: dict[str, int] = Field(
        description="Dead letters by reason since the worker started."
    )
    interval_seconds: int
    intervals: list[dict[str, int]] = Field(
        description="Events by outcome for each interval of the last 5 minutes, oldest first."
    )
    partitions: list[Partition]


class Duplicates(ApiModel):
    """What a duplicate is: the strategy and its window."""

    strategy: str = Field(description="`latest`, `distinct` or `event_id`.")
    window_seconds: float | None = Field(description="Null if the window has no end.")
    window_kind: str = Field(description="`fixed` or `sliding`.")
    window_entries: int = Field(
        description="How many contents or event ids of {a_name} are remembered at most."
    )
    why: str = Field(description="The same in words.")
    may_lag: bool = Field(
        description="Whether {output} may lag behind the latest state: content that comes back "
        "within the window is not emitted."
    )


class Worker(ApiModel):
    """A worker of the group, the partitions it owns, and its figures."""

    url: str
    partitions: list[int]
    this: bool
    state: str | None = Field(description="`ready`, or why it is not; null if it did not answer.")
    warnings: Warnings
    figures: Figures | None = Field(description="Null if it did not answer.")


class Group(Figures):
    """The figures of all workers that answered: sums, and the greatest age."""

    answered: int = Field(description="Number of workers that answered, including this one.")
    unanswered: list[Unanswered] = Field(
        description="Partitions missing from the figures; empty if none."
    )


class Overview(Figures):
    """The figures of the worker, and those of its group."""

    worker: str
    version: str
    state: str = Field(description="`ready`, why it is not, or `waiting for the brokers`.")
    warnings: Warnings
    dry_run: DryRun
    duplicates_are: Duplicates | None = Field(None, description="By the settings of the worker.")
    workers: list[Worker]
    group: Group | None = Field(description="Null if only this worker was asked (`local`).")


class EntityLine(ApiModel):
    """{A_name} in the list."""

    id: Id
    partitions: list[int] = Field(
        description="Partitions that know the {name}, that of the row first. More than one if "
        "producers partition its key differently."
    )
    row: dict[str, Any] = Field(description="The row on {output}.")


class EntityList(ApiModel):
    """A page of the group's {names}, ordered by {id}."""

    rows: list[EntityLine]
    search: str
    scanned: int = Field(description="{Names} examined for this page.")
    complete: bool = Field(
        description="Whether the page is full or the end of the {names} was reached."
    )
    previous_before: Id | None = Field(description="`before` of the one before; null on the first.")
    next_after: Id | None = Field(description="`after` of the next page; null on the last.")
    total: int | None = Field(
        description="Number of {names} known; null while the count is incomplete."
    )
    searched: list[int] = Field(description="Partitions that were searched.")
    unanswered: list[Unanswered] = Field(
        description="Partitions missing from the list; empty if none."
    )


class Comparison(ApiModel):
    """A content field: its value in the known state and in the event, both in normal form."""

    field: str
    known: Value
    event: Value
    differs: bool
    counts: bool = Field(description="Whether a difference in this field makes the event a change.")


class CheckResult(ApiModel):
    """The outcome of an event, or the outcome that it would have, and the reason."""

    outcome: str
    why: str
    emits: bool = Field(description="Whether a record is written to {output}.")
    id: Id | None
    event_id: str | None
    action: str | None
    event_time: Time | None
    comparisons: list[Comparison]


class PastResult(CheckResult):
    """The decision on an event of the source topic."""

    partition: int
    offset: int
    processed_at: Time | None


class Place(ApiModel):
    """Another partition that knows the {name}."""

    worker: str
    partition: int
    deleted: bool
    row: dict[str, Any] | None
    newest_event_time: Time | None
    source_offset: int | None


class Remembered(ApiModel):
    """A content or an event id that is a duplicate while its window lasts."""

    digest: str = Field(description="Hexadecimal: of the content, or of the event id.")
    of_row: bool = Field(description="Whether it is that of the row.")
    seen_at: Time | None = Field(description="Start of its window.")
    inside: bool = Field(description="Whether it would be a duplicate now.")
    text: str = Field(description="When it was seen, and the window.")


class EntityDetail(ApiModel):
    """One {name}. If several partitions know it, this is the newest state."""

    id: Id
    known: bool
    deleted: bool
    worker: str | None = Field(
        description="Address of the worker that owns it; null if no worker knows it."
    )
    partition: int | None = Field(description="Partition of its events; null if none was seen.")
    row: dict[str, Any] | None = Field(description="The row on {output}.")
    fingerprint: str | None = Field(description="Hexadecimal: scheme (5 bytes), digest (16).")
    fingerprint_fields: list[str]
    newest_event_time: Time | None
    emitted_at: Time | None
    source_offset: int | None = Field(description="Offset of the last event applied.")
    duplicates: int = Field(
        description="Duplicates suppressed; a rebuild restores those before the last emission."
    )
    remembered: list[Remembered] = Field(
        [], description="What the window remembers of it, the newest first."
    )
    duplicates_are: Duplicates | None = Field(
        None, description="By the settings of the worker that owns it; null if it does not say."
    )
    decided: Outcomes = Field(description="Decisions in the worker's memory, by outcome.")
    decisions: list[PastResult] = Field(description="The last decisions, newest first.")
    note: str | None = Field(description="Source of the decisions if they are not in memory.")
    command: str = Field(
        description="Command that shows all its events that are still on the topic."
    )
    also: list[Place] = Field(
        description="Other partitions that know it: producers partition its key differently."
    )
    searched: list[int] = Field(description="Partitions that were searched.")
    unanswered: list[Unanswered] = Field(
        description="Partitions that were not searched; empty if none."
    )


class Health(ApiModel):
    """Whether the worker is alive or ready; if not, the failed checks."""

    ok: bool
    failing: dict[str, str] = Field(
        description="The failed checks: a name and the reason for each."
    )
    warnings: Warnings
    dry_run: DryRun


class Version(ApiModel):
    """The versions of the worker, Python and the main packages."""

    version: str
    dry_run: DryRun
    python: str
    packages: dict[str, str]


class Error(ApiModel):
    """The reason why the request failed."""

    error: str
