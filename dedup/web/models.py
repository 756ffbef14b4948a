"""What the pages show, as data: the JSON of `/api` is these models, the HTML is made from them."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[str, Field(description="ISO 8601, UTC.")]
Warnings = Annotated[dict[str, str], Field(description="A sentence for each thing to look at.")]
DryRun = Annotated[bool, Field(description="Whether it only observes and writes nothing.")]
Outcomes = Annotated[dict[str, int], Field(description="Events by outcome.")]


class ApiModel(BaseModel):
    """A base: what is shown does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Unanswered(ApiModel):
    """Partitions of which no worker answered, so that what is shown lacks them."""

    worker: str | None = Field(description="Their owner's address; null if none is known now.")
    partitions: list[int]
    since: Time | None = Field(description="When the worker was first found not to answer.")
    why: str = Field(description="A sentence, with what to do.")


class Partition(ApiModel):
    """A partition, as its owner tells."""

    partition: int
    worker: str = Field(description="The worker that owns it.")
    lag_records: int | None = Field(description="Records not committed; null before it is known.")
    lag_seconds: float | None = Field(description="Age of the first record not committed.")
    committed_offset: int | None
    end_offset: int | None
    recovery_remaining_records: int
    products: int | None = Field(description="Known and not deleted; null while they are counted.")
    state_bytes: int


class Figures(ApiModel):
    """What a worker, or all workers of the group together, do now and did since they started."""

    since: Time = Field(
        description="Start of the worker; of a group, of the worker that started first. Each "
        "worker counts from its own start: one that restarts counts from 0 again."
    )
    events_per_second: float = Field(description="Over the last 10 s.")
    emitted_per_second: float = Field(description="Records written to src_products.")
    would_emit_per_second: float | None = Field(description="In a dry run; null otherwise.")
    duplicate_share: float | None = Field(
        description="Duplicates of the events of the last 5 minutes; null without events."
    )
    products: int | None = Field(description="Known and not deleted; null while not all are known.")
    lag_records: int | None = Field(description="Null while it is not known of every partition.")
    lag_seconds: float | None
    lag_as_of: Time | None = Field(description="When the brokers last told the lag.")
    totals: Outcomes = Field(description="Since the worker started.")
    recent: Outcomes = Field(description="In the last 5 minutes.")
    dead_letters: dict[str, int] = Field(description="By reason, since the worker started.")
    interval_seconds: int
    intervals: list[dict[str, int]] = Field(description="The last 5 minutes, oldest first.")
    partitions: list[Partition]


class Worker(ApiModel):
    """A worker of the group, the partitions it owns, and its figures."""

    url: str
    partitions: list[int]
    this: bool
    state: str | None = Field(description="ready, or what it does; null if it did not answer.")
    warnings: Warnings
    figures: Figures | None = Field(description="Null if it did not answer.")


class Group(Figures):
    """The figures of all workers that answered: sums, and the largest age."""

    answered: int = Field(description="How many workers answered, this one among them.")
    unanswered: list[Unanswered] = Field(description="What the figures lack; empty: nothing.")


class Overview(Figures):
    """What the worker does now and did in the last minutes, and what its group does."""

    worker: str
    version: str
    state: str = Field(description="ready, or why it is not; or that it waits for the brokers.")
    warnings: Warnings
    dry_run: DryRun
    workers: list[Worker]
    group: Group | None = Field(description="Null when only this worker was asked (`local`).")

    def figures(self) -> Figures:
        """Return this worker's figures without the rest."""
        return Figures(**{name: getattr(self, name) for name in Figures.model_fields})


class ProductLine(ApiModel):
    """A product in the list."""

    product_id: int
    partitions: list[int] = Field(
        description="Where it is known, the partition of the row first; one, unless producers "
        "place its key differently."
    )
    row: dict[str, Any] = Field(description="As it stands on src_products.")


class ProductList(ApiModel):
    """A page of the group's products by product_id."""

    products: list[ProductLine]
    search: str
    scanned: int = Field(description="Products looked at for this page.")
    complete: bool = Field(description="Whether the page is full or the products are at an end.")
    previous_before: int | None = Field(description="`before` of the page before this one.")
    next_after: int | None = Field(description="`after` of the next page; null at the end.")
    total: int | None = Field(description="Products known; null while not all are counted.")
    searched: list[int] = Field(description="Partitions whose products are here.")
    unanswered: list[Unanswered] = Field(description="What the list lacks; empty: nothing.")


class Comparison(ApiModel):
    """A content field: the known state's and the event's, in normal form."""

    field: str
    known: str | int | None
    event: str | int | None
    differs: bool
    counts: bool = Field(description="Whether a difference in it makes a change.")


class CheckResult(ApiModel):
    """What became of an event, or would become of it, and why."""

    outcome: str
    why: str
    emits: bool = Field(description="Whether a record goes to src_products.")
    product_id: int | None
    event_id: str | None
    action: str | None
    event_time: Time | None
    comparisons: list[Comparison]


class PastResult(CheckResult):
    """A verdict on an event of the source topic."""

    partition: int
    offset: int
    processed_at: Time | None


class Place(ApiModel):
    """A partition, beside the one shown, in which a product is known too."""

    worker: str
    partition: int
    deleted: bool
    row: dict[str, Any] | None
    newest_event_time: Time | None
    source_offset: int | None


class ProductDetail(ApiModel):
    """What is known of one product; where it is known in more partitions, in the newest state."""

    product_id: int
    known: bool
    deleted: bool
    worker: str | None = Field(description="The worker that owns it; null if none knows it.")
    partition: int | None = Field(description="Where its events are; null if none were seen.")
    row: dict[str, Any] | None = Field(description="As it stands on src_products.")
    fingerprint: str | None = Field(description="Hexadecimal: scheme (5 bytes), digest (16).")
    fingerprint_fields: list[str]
    newest_event_time: Time | None
    emitted_at: Time | None
    source_offset: int | None = Field(description="Of the last event applied.")
    duplicates: int = Field(description="Suppressed since the state was last rebuilt from Kafka.")
    decided: Outcomes = Field(description="The decisions this worker still remembers.")
    decisions: list[PastResult] = Field(description="The last ones, newest first.")
    note: str | None = Field(description="Where the decisions come from, if not from memory.")
    command: str = Field(description="What tells of all its events that are still on the topic.")
    also: list[Place] = Field(
        description="Other partitions that know it: producers place its key differently."
    )
    searched: list[int] = Field(description="Partitions that were looked in.")
    unanswered: list[Unanswered] = Field(description="Partitions that were not; empty: none.")


class DeadLetterEntry(ApiModel):
    """An event that could not be applied, as it stands on the dead-letter topic."""

    position: str = Field(description="PARTITION:OFFSET, as `dedup dlq show` takes it.")
    time: Time
    reason: str
    message: str
    source: str
    key: str | None
    value: str | None = Field(description="The first 2,000 characters; what can't be shown as \\x.")
    value_bytes: int = Field(description="Of the event; the topic may hold the first of them only.")
    replayed: Time | None = Field(description="When it was re-submitted, if it was.")


class DeadLetters(ApiModel):
    """The newest dead letters of all workers, and how many there are."""

    topic: str
    on_topic: int = Field(description="Offsets in use: dead letters and transaction markers.")
    counted: dict[str, int] = Field(
        description="By reason: of all workers that answered, since each of them started."
    )
    unanswered: list[Unanswered] = Field(description="What `counted` lacks; empty: nothing.")
    letters: list[DeadLetterEntry]


class Health(ApiModel):
    """Whether the worker is alive, or ready; if not, the checks that fail."""

    ok: bool
    failing: dict[str, str] = Field(description="A sentence for each check that fails.")
    warnings: Warnings
    dry_run: DryRun


class Version(ApiModel):
    """The versions of what runs."""

    version: str
    dry_run: DryRun
    python: str
    packages: dict[str, str]


class Error(ApiModel):
    """Why there is no answer."""

    error: str
