"""What the pages show, as data: the JSON of `/api` is these models, the HTML is made from them."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[str, Field(description="ISO 8601, UTC.")]
Warnings = Annotated[dict[str, str], Field(description="A sentence for each thing to look at.")]
DryRun = Annotated[bool, Field(description="Whether it only observes and writes nothing.")]
Outcomes = Annotated[dict[str, int], Field(description="Events by outcome.")]


class Shown(BaseModel):
    """A base: what is shown does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Partition(Shown):
    """A partition this worker owns."""

    partition: int
    lag_records: int | None = Field(description="Records not committed; null before it is known.")
    lag_seconds: float | None = Field(description="Age of the first record not committed.")
    committed_offset: int | None
    end_offset: int | None
    recovery_remaining_records: int
    products: int | None = Field(description="Known and not deleted; null while they are counted.")
    state_bytes: int


class Worker(Shown):
    """A worker of the group, and the partitions it owns."""

    url: str
    partitions: list[int]
    this: bool


class Overview(Shown):
    """What the worker does now and did in the last minutes."""

    worker: str
    version: str
    state: str = Field(description="ready, or why it is not; or that it waits for the brokers.")
    warnings: Warnings
    dry_run: DryRun
    events_per_second: float = Field(description="Over the last 10 s.")
    emitted_per_second: float = Field(description="Records written to src_products.")
    would_emit_per_second: float | None = Field(description="In a dry run; null otherwise.")
    duplicate_share: float | None = Field(
        description="Duplicates of the events of the last 5 minutes; null without events."
    )
    products: int | None
    lag_records: int | None
    lag_seconds: float | None
    lag_as_of: Time | None = Field(description="When the brokers last told the lag.")
    totals: Outcomes = Field(description="Since the worker started.")
    recent: Outcomes = Field(description="In the last 5 minutes.")
    interval_seconds: int
    intervals: list[dict[str, int]] = Field(description="The last 5 minutes, oldest first.")
    partitions: list[Partition]
    workers: list[Worker]


class ProductLine(Shown):
    """A product in the list."""

    product_id: int
    row: dict[str, Any] = Field(description="As it stands on src_products.")


class ProductList(Shown):
    """A page of this worker's products by product_id."""

    products: list[ProductLine]
    search: str
    scanned: int = Field(description="Products looked at for this page.")
    complete: bool = Field(description="Whether the page is full or the products are at an end.")
    previous_before: int | None = Field(description="`before` of the page before this one.")
    next_after: int | None = Field(description="`after` of the next page; null at the end.")
    total: int | None = Field(description="Products of this worker; null while they are counted.")


class Comparison(Shown):
    """A content field: the known state's and the event's, in normal form."""

    field: str
    known: str | int | None
    event: str | int | None
    differs: bool
    counts: bool = Field(description="Whether a difference in it makes a change.")


class Verdict(Shown):
    """What became of an event, or would become of it, and why."""

    outcome: str
    why: str
    emits: bool = Field(description="Whether a record goes to src_products.")
    product_id: int | None
    event_id: str | None
    action: str | None
    event_time: Time | None
    comparisons: list[Comparison]


class PastVerdict(Verdict):
    """A verdict on an event of the source topic."""

    partition: int
    offset: int
    processed_at: Time | None


class Product(Shown):
    """What is known of one product."""

    product_id: int
    known: bool
    deleted: bool
    worker: str = Field(description="The worker that owns it.")
    partition: int
    row: dict[str, Any] | None = Field(description="As it stands on src_products.")
    fingerprint: str | None = Field(description="Hexadecimal: scheme (5 bytes), digest (16).")
    fingerprint_fields: list[str]
    newest_event_time: Time | None
    emitted_at: Time | None
    source_offset: int | None = Field(description="Of the last event applied.")
    duplicates: int = Field(description="Suppressed since the state was last rebuilt from Kafka.")
    decided: Outcomes = Field(description="The decisions this worker still remembers.")
    decisions: list[PastVerdict] = Field(description="The last ones, newest first.")
    note: str | None = Field(description="Where the decisions come from, if not from memory.")


class DeadLetter(Shown):
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


class DeadLetters(Shown):
    """The newest dead letters of all workers, and how many there are."""

    topic: str
    on_topic: int = Field(description="Offsets in use: dead letters and transaction markers.")
    counted: Annotated[dict[str, int], Field(description="By reason, since this worker started.")]
    letters: list[DeadLetter]


class Health(Shown):
    """Whether the worker is alive, or ready; if not, the checks that fail."""

    ok: bool
    failing: dict[str, str] = Field(description="A sentence for each check that fails.")
    warnings: Warnings
    dry_run: DryRun


class Version(Shown):
    """The versions of what runs."""

    version: str
    dry_run: DryRun
    python: str
    packages: dict[str, str]


class Error(Shown):
    """Why there is no answer."""

    error: str
