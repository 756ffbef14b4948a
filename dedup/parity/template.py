"""The text of the reference: Flink SQL with a gap for everything that depends on the entity."""

from string import Template
from typing import Final

SCRIPT: Final = Template("""\
-- The rules of the deduplicator in plain Flink SQL: the parity reference, and the engine for loads
-- beyond one group of workers. Written by `dedup flink-sql`: change the entity, not this file.
-- Runs unchanged with `sql-client.sh -f`, and with run-flink-dedup.sh and job.py of deploy/flink,
-- which set topics and brokers from the environment.
-- Needs Flink 2.1 or newer with flink-sql-connector-kafka. docs/flink.md lists its limits.
$head$left_out
SET 'execution.runtime-mode' = 'streaming';  -- batch mode sorts, so no event would be late
SET 'table.local-time-zone' = 'UTC';
SET 'pipeline.name' = '$name-dedup';
$options
-- 1. Source. All columns are text, to distinguish values that break a limit from absent ones.
CREATE TABLE ${name}_events_raw (
    $key STRING,
    $source_columns,
    $source_partition INT METADATA FROM 'partition' VIRTUAL,
    $source_offset BIGINT METADATA FROM 'offset' VIRTUAL,
    $arrival AS PROCTIME()
) WITH (
    'connector' = 'kafka',
    'topic' = $source,
    'properties.bootstrap.servers' = $servers,
    'properties.group.id' = $group,
    'properties.isolation.level' = 'read_committed',
    'scan.startup.mode' = 'earliest-offset',
    'key.format' = 'raw',
    'key.fields' = $key_name,
    'value.format' = 'json',
    'value.json.ignore-parse-errors' = 'true',
    'value.fields-include' = 'EXCEPT_KEY'
);

-- 2. Typed and valid events. A value that can't be read is null. No JSON timestamp type of Flink
-- reads +00:00, so the offset is removed and subtracted. A cast to DECIMAL rounds; the comparison
-- with a wider type detects that.
CREATE VIEW ${name}_events_text AS
SELECT
    $key,
    $text_columns,
    $source_partition,
    $source_offset,
    $arrival
FROM ${name}_events_raw AS r;

CREATE VIEW ${name}_events_typed AS
SELECT
    $key,
    $typed_columns,
    $source_partition,
    $source_offset,
    $arrival
FROM ${name}_events_text
WHERE $must;

CREATE VIEW ${name}_events_flattened AS
SELECT
    $columns,
    $source_partition,
    $source_offset,
    $arrival
FROM ${name}_events_typed
WHERE $valid;

$decision
CREATE VIEW ${name}_events_deduplicated AS
SELECT
    $emitted_columns,
    $source_partition,
    $source_offset,
    $arrival,
    $outcome
FROM ${name}_events_decided
WHERE $outcome IN ($emitted);

-- 4. Output. Written as plain records, because upsert-kafka writes no tombstones from an
-- append-only query: a null value is a tombstone. Key and value are the bytes that upsert-kafka
-- reads. A tombstone has its time and source in the worker's headers, a row in its fields.
CREATE TABLE src_${plural}_records (
    record_key STRING,
    record_value STRING,
    headers MAP<STRING, BYTES> METADATA
) WITH (
    'connector' = 'kafka',
    'topic' = $output,
    'properties.bootstrap.servers' = $servers,
    'key.format' = 'raw',
    'key.fields' = 'record_key',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
);

-- The same topic as a table: the latest row of every $name that is not deleted.
CREATE TABLE src_${plural} (
    $row_columns,
    PRIMARY KEY ($id) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = $output,
    'properties.bootstrap.servers' = $servers,
    'properties.isolation.level' = 'read_committed',
    'key.format' = 'json',
    'value.format' = 'json',
    'value.json.timestamp-format.standard' = 'ISO-8601',
    'value.json.encode.decimal-as-plain-number' = 'true'
);

-- 5. Example queries:
--   SELECT * FROM deduplication_stats;
--   SELECT * FROM current_${name}_state;
--   SELECT $id, $time FROM ${name}_events_flattened
--     ORDER BY $time DESC LIMIT 10;
--   SELECT 'Raw Events' AS source, COUNT(*) AS events FROM ${name}_events_flattened
--     UNION ALL SELECT 'Deduplicated', COUNT(*) FROM ${name}_events_deduplicated;
$statistics
CREATE VIEW current_${name}_state AS
SELECT $row_names
FROM src_${plural};

INSERT INTO src_${plural}_records
SELECT
    $output_key,
    CASE WHEN $has_row THEN JSON_OBJECT(
        $row_values
        NULL ON NULL) END,
    CASE WHEN $outcome = 'tombstone' THEN MAP[
        'dedup.event_time', ENCODE(CAST(
            TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', $time) AS STRING)
            || SUBSTRING(CAST($time AS STRING), 21, 6), 'UTF-8'),
        'dedup.source', ENCODE(
            CAST($source_partition AS STRING) || '/' || CAST($source_offset AS STRING), 'UTF-8')
        ] END
FROM ${name}_events_deduplicated;
""")
