"""The worker's rules, for the worker and for every command that explains its decisions."""

from collections.abc import Mapping
from typing import Final, get_args

from pydantic import ValidationError

from dedup.core.codec import Codec
from dedup.core.codecs import codec_for
from dedup.core.decide import DAY_US, Rules
from dedup.core.entity import Entity
from dedup.core.errors import SettingsError
from dedup.core.explain_window import LAGS, described
from dedup.core.recogniser import IS_COMPILED
from dedup.core.window import ENTRY_BYTES, Strategy
from dedup.kafka.settings import faults_in
from dedup.kafka.topics import STATE_MAX_BYTES, TopicFacts
from dedup.settings import Settings

BESIDE_THE_ROW_BYTES: Final = 512
"""What a record batch holds besides the row: its header, the key and the headers, rounded up."""


def codec_of(settings: Settings) -> Codec:
    """Return the codec of the entity that these settings name."""
    return codec_for(
        settings.entity,
        settings.DEDUP_CONTENT_FIELDS,
        settings.DEDUP_UNKNOWN_FIELDS,
        settings.DEDUP_UNKNOWN_ACTION,
    )


def rules_of(settings: Settings, topics: TopicFacts | None = None) -> Rules:
    """Return the rules by which a worker with these settings decides on these topics.

    Without topics, they are those for topics that the worker creates: a deletion is remembered for
    24 hours, and a record batch of `src_products` may have 2 MiB.
    """
    window_s, entries = settings.window_s, settings.DEDUP_WINDOW_ENTRIES
    batch_bytes = STATE_MAX_BYTES if topics is None else topics.states_batch_bytes
    remembered_bytes = 0 if settings.DEDUP_STRATEGY == "latest" else entries * ENTRY_BYTES
    return Rules(
        codec=codec_of(settings),
        order=settings.DEDUP_ORDER,
        strategy=settings.DEDUP_STRATEGY,
        window_us=None if window_s is None else int(window_s * 1_000_000),
        window_kind=settings.DEDUP_WINDOW_KIND,
        window_entries=entries,
        deleted_marker_us=DAY_US if topics is None else topics.delete_retention_ms * 1000,
        largest_row_bytes=batch_bytes - BESIDE_THE_ROW_BYTES - remembered_bytes,
    )


def strategies_of(entity: Entity) -> list[Strategy]:
    """Return the strategies that an entity can have: `event_id` needs events with an id."""
    has_event_ids = "last_event_id" in entity.provenance
    return [each for each in get_args(Strategy) if has_event_ids or each != "event_id"]


def with_window(settings: Settings, chosen: Mapping[str, str]) -> Settings:
    """Return settings with another strategy and window; `chosen` may name other settings, too.

    Nothing is left of the strategy and the window before, so `chosen` is complete. Its values are
    those of an environment. Raises SettingsError for what is not accepted, as at the start.
    """
    unset = ("DEDUP_STRATEGY", "DEDUP_WINDOW", "DEDUP_WINDOW_KIND", "DEDUP_REFRESH_AFTER")
    kept = {name: value for name, value in settings.model_dump().items() if name not in unset}
    try:
        return Settings.model_validate({**kept, **chosen})
    except ValidationError as error:
        raise SettingsError("\n".join(faults_in(error, Settings))) from None


def how_events_are_read(codec: Codec) -> str:
    """Return what reads the events of an entity: their rate depends on it."""
    read = f"Each event is of the entity {codec.entity.name}"
    if not codec.is_fast:
        return f"{read} and is read by pydantic: the model has validators, or unknown fields pass."
    if codec.recogniser == "compiled":
        return f"{read} and is recognised by compiled code."
    if IS_COMPILED:
        return f"{read} and is recognised by Python code, as its envelope has no compiled form."
    return f"{read} and is recognised by Python code: without a C compiler there is no faster one."


def what_duplicates_are(rules: Rules) -> list[str]:
    """Return the strategy and its window in sentences, and what it means for the table."""
    name = rules.codec.entity.name.replace("_", " ")
    kind = "" if rules.window_us is None else f", {rules.window_kind} window"
    lines = [f"Strategy {rules.strategy}{kind}: {described(rules, name)}"]
    return [*lines, LAGS] if rules.strategy == "distinct" else lines
