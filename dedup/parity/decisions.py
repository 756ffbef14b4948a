"""The text of the decision in Flink SQL: what a duplicate is, by strategy and kind of window."""

from dataclasses import dataclass
from string import Template
from typing import Final

from dedup.core.window import Strategy, WindowKind
from dedup.parity.columns import FlinkSqlError

_ORDERED: Final = """\
CREATE VIEW ${name}_events_ordered AS
SELECT
    *,
    $time < MAX($time) OVER (
        PARTITION BY $id ORDER BY $arrival
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS $late,
    $content_value AS $content
FROM ${name}_events_flattened;

"""

_LATEST_HEAD: Final = """\
-- 3. The decision. The source is keyed by the id, so the order of arrival is that of the partition
-- at any parallelism. Late events are separated, so they neither become nor hide the known state.
"""

_LATEST: Final = """\
CREATE VIEW ${name}_events_decided AS
SELECT
    *,
    CASE
        WHEN $late THEN 'stale'
        WHEN $content IS NOT DISTINCT FROM $known_content THEN 'duplicate'
        WHEN $content IS NULL THEN 'tombstone'
        ELSE 'change'
    END AS $outcome
FROM (
    SELECT *, LAG($content) OVER (PARTITION BY $id, $late ORDER BY $arrival) AS $known_content
    FROM ${name}_events_ordered);
"""

_LATEST_SLIDING: Final = """\
-- The window is sliding: known content is a duplicate less than the window after the event before.
CREATE VIEW ${name}_events_decided AS
SELECT
    *,
    CASE
        WHEN $late THEN 'stale'
        WHEN $content IS NULL AND $known_content IS NULL THEN 'duplicate'
        WHEN $content IS NULL THEN 'tombstone'
        WHEN $content = $known_content AND $time < $last_seen + $window THEN 'duplicate'
        WHEN $content = $known_content THEN 'refresh'
        ELSE 'change'
    END AS $outcome
FROM (
    SELECT
        *,
        LAG($content) OVER (PARTITION BY $id, $late ORDER BY $arrival) AS $known_content,
        LAG($time) OVER (PARTITION BY $id, $late ORDER BY $arrival) AS $last_seen
    FROM ${name}_events_ordered);
"""

_REPEATS_HEAD: Final = """\
-- 3. The decision. Late events are dropped first. The rest is grouped by $repeated_words, and
-- the first of a group in each window is emitted.
"""

_CURRENT: Final = """\
CREATE VIEW ${name}_events_current AS
SELECT
    *,
    LAG($time) OVER (PARTITION BY $repeated ORDER BY $arrival) AS $last_seen
"""

_OF_CONTENT: Final = (
    """\
-- A delete clears what was emitted: the number of deletes so far is part of the group. A delete is
-- null content, and the only one of its group.
"""
    + _CURRENT
    + """\
FROM (
    SELECT
        *,
        SUM(CASE WHEN $content IS NULL THEN 1 ELSE 0 END) OVER (
            PARTITION BY $id ORDER BY $arrival
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
            - CASE WHEN $content IS NULL THEN 1 ELSE 0 END AS $deletes
    FROM ${name}_events_ordered
    WHERE NOT $late);

"""
)

_OF_EVENT_ID: Final = (
    _CURRENT
    + """\
FROM ${name}_events_ordered
WHERE NOT $late;

"""
)

_FIXED: Final = """\
-- The window is fixed: it begins with the event that is emitted, so each decision depends on the
-- one before. In the pattern, A was emitted, B are its repeats, and C is the first event after its
-- window: C is emitted, and is the A of the next match. The first event of a group has no A, so a
-- copy of it is put before it as a marker.
CREATE VIEW ${name}_events_marked AS
SELECT e.*, m.$is_marker
FROM ${name}_events_current AS e
CROSS JOIN UNNEST(
    CASE WHEN e.$last_seen IS NULL THEN ARRAY[TRUE, FALSE] ELSE ARRAY[FALSE] END) AS m ($is_marker);

CREATE VIEW ${name}_events_first AS
SELECT *
FROM ${name}_events_marked
MATCH_RECOGNIZE (
    PARTITION BY $repeated
    ORDER BY $arrival
    MEASURES
        $measures,
        MATCH_PROCTIME() AS $arrival
    ONE ROW PER MATCH
    AFTER MATCH SKIP TO LAST C
    PATTERN (A B* C)
    DEFINE
        B AS NOT A.$is_marker AND B.$time < A.$time + $window,
        C AS A.$is_marker OR C.$time >= A.$time + $window
) AS matched;

"""

_SLIDING: Final = """\
-- The window is sliding: it begins again with each event of the group.
CREATE VIEW ${name}_events_first AS
SELECT *
FROM ${name}_events_current
WHERE $last_seen IS NULL OR $time >= $last_seen + $window;

"""

_REPEATS_END: Final = """\
-- A delete is a tombstone if the last of these left a $name. The rest are duplicates.
CREATE VIEW ${name}_events_decided AS
SELECT
    *,
    CASE
        WHEN $content IS NULL AND $known_content IS NULL THEN 'duplicate'
        WHEN $content IS NULL THEN 'tombstone'
        WHEN $content = $known_content THEN 'refresh'
        ELSE 'change'
    END AS $outcome
FROM (
    SELECT *, LAG($content) OVER (PARTITION BY $id ORDER BY $arrival) AS $known_content
    FROM ${name}_events_first);
"""

_COUNTED: Final = Template("""\
CREATE VIEW deduplication_stats AS
SELECT
    COUNT(*) AS total_events,
    COUNT(DISTINCT $id) AS unique_${plural},
    COUNT(*) FILTER (WHERE $outcome = 'change') AS changes,
${refreshes}\
    COUNT(*) FILTER (WHERE $outcome = 'duplicate') AS duplicates,
    COUNT(*) FILTER (WHERE $outcome = 'stale') AS stale,
    COUNT(*) FILTER (WHERE $outcome = 'tombstone') AS tombstones,
    CAST(100.0 * COUNT(*) FILTER (WHERE $outcome = 'duplicate') / COUNT(*) AS DECIMAL(5, 2))
        AS duplicate_percentage
FROM ${name}_events_decided;
""")

_SUBTRACTED: Final = Template("""\
-- What was emitted of an event may be counted before the event: of no events there is no share.
CREATE VIEW deduplication_stats AS
SELECT
    *,
    CAST(100.0 * duplicates / NULLIF(total_events, 0) AS DECIMAL(5, 2)) AS duplicate_percentage
FROM (
    SELECT
        COUNT(*) FILTER (WHERE $outcome IN ('current', 'stale')) AS total_events,
        COUNT(DISTINCT $id) AS unique_${plural},
        COUNT(*) FILTER (WHERE $outcome = 'change') AS changes,
        COUNT(*) FILTER (WHERE $outcome = 'refresh') AS refreshes,
        COUNT(*) FILTER (WHERE $outcome = 'current')
            - COUNT(*) FILTER (WHERE $outcome NOT IN ('current', 'stale')) AS duplicates,
        COUNT(*) FILTER (WHERE $outcome = 'stale') AS stale,
        COUNT(*) FILTER (WHERE $outcome = 'tombstone') AS tombstones
    FROM (
        SELECT $id, CASE WHEN $late THEN 'stale' ELSE 'current' END AS $outcome
        FROM ${name}_events_ordered
        UNION ALL SELECT $id, $outcome FROM ${name}_events_deduplicated));
""")

_REFRESHES: Final = "    COUNT(*) FILTER (WHERE $outcome = 'refresh') AS refreshes,\n"
_NO_LIMIT: Final = "-- DEDUP_WINDOW_ENTRIES has no counterpart: every entry is known here.\n"
_ONE_SUBTASK: Final = """\
-- Above this, the groups of one id are in different subtasks, and the order of its rows is lost.
SET 'parallelism.default' = '1';
"""
_LONGEST_DAYS: Final = 999_999


@dataclass(frozen=True)
class Rule:
    """What a duplicate is: the strategy, its window in seconds (None: no end) and its kind."""

    strategy: Strategy = "latest"
    window_s: float | None = None
    kind: WindowKind = "fixed"

    @property
    def refreshes(self) -> bool:
        """Tell whether known content may be emitted again."""
        return self.window_s is not None

    def decision(self) -> Template:
        """Return the views from the valid events to their outcomes."""
        if self.strategy == "latest":
            decided = _LATEST if self.window_s is None else _LATEST_SLIDING
            return Template(_LATEST_HEAD + _ORDERED + decided)
        groups = _OF_CONTENT if self.strategy == "distinct" else _OF_EVENT_ID
        window = _FIXED if self.kind == "fixed" else _SLIDING
        return Template(_REPEATS_HEAD + _ORDERED + groups + window + _REPEATS_END)

    def statistics(self) -> Template:
        """Return the view of the statistics."""
        if self.strategy != "latest":
            return _SUBTRACTED
        return Template(_COUNTED.safe_substitute(refreshes=_REFRESHES if self.refreshes else ""))

    def emitted(self) -> str:
        """Return the outcomes that are emitted, as SQL."""
        return "'change', 'refresh', 'tombstone'" if self.refreshes else "'change', 'tombstone'"

    def has_row(self, outcome: str) -> str:
        """Return the condition that an emitted event has a row."""
        return f"{outcome} <> 'tombstone'" if self.refreshes else f"{outcome} = 'change'"

    def head(self) -> str:
        """Return what the head of the script says of the rule; nothing of the default one."""
        if self.window_s is None:
            return ""
        head = f"-- Strategy {self.strategy}, a {self.kind} window of {self.window_s:g} s.\n"
        return head if self.strategy == "latest" else head + _NO_LIMIT

    def options(self) -> str:
        """Return the options that the decision needs."""
        if self.strategy == "latest":
            return ""
        return _ONE_SUBTASK

    def interval(self) -> str:
        """Return the window as an interval. Raises FlinkSqlError for one that SQL can't express."""
        if self.window_s is None:
            return ""
        ms = round(self.window_s * 1000)
        seconds, ms_rest = divmod(ms, 1000)
        days, seconds = divmod(seconds, 86_400)
        if ms / 1000 != self.window_s or days > _LONGEST_DAYS:
            raise FlinkSqlError(
                f"DEDUP_WINDOW: Flink SQL has no interval of {self.window_s:g} s; expected whole "
                f"milliseconds and at most {_LONGEST_DAYS} days"
            )
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms_rest:03}"
        return f"INTERVAL '{days} {clock}' DAY({len(str(days))}) TO SECOND(3)"
