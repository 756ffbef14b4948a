-- The rules of the deduplicator in plain Flink SQL: the parity reference, and the engine for loads
-- beyond one group of workers. Written by `dedup flink-sql`: change the entity, not this file.
-- Runs unchanged with `sql-client.sh -f`, and with run-flink-dedup.sh and job.py of deploy/flink,
-- which set topics and brokers from the environment.
-- Needs Flink 2.1 or newer with flink-sql-connector-kafka. docs/flink.md lists its limits.
-- Strategy event_id, a fixed window of 600 s.
-- DEDUP_WINDOW_ENTRIES has no counterpart: every entry is known here.

SET 'execution.runtime-mode' = 'streaming';  -- batch mode sorts, so no event would be late
SET 'table.local-time-zone' = 'UTC';
SET 'pipeline.name' = 'product-dedup';
-- Above this, the groups of one id are in different subtasks, and the order of its rows is lost.
SET 'parallelism.default' = '1';

-- 1. Source. All columns are text, to distinguish values that break a limit from absent ones.
CREATE TABLE product_events_raw (
    record_key STRING,
    `event_id` STRING,
    `action` STRING,
    `old_price` STRING,
    `timestamp` STRING,
    `product` ROW<
        `product_id` STRING,
        `product_name` STRING,
        `description` STRING,
        `price` STRING,
        `stock_quantity` STRING,
        `discount` STRING,
        `created_at` STRING,
        `updated_at` STRING>,
    source_partition INT METADATA FROM 'partition' VIRTUAL,
    source_offset BIGINT METADATA FROM 'offset' VIRTUAL,
    arrival AS PROCTIME()
) WITH (
    'connector' = 'kafka',
    'topic' = 'products',
    'properties.bootstrap.servers' = 'localhost:9092',
    'properties.group.id' = 'product-dedup-flink',
    'properties.isolation.level' = 'read_committed',
    'scan.startup.mode' = 'earliest-offset',
    'key.format' = 'raw',
    'key.fields' = 'record_key',
    'value.format' = 'json',
    'value.json.ignore-parse-errors' = 'true',
    'value.fields-include' = 'EXCEPT_KEY'
);

-- 2. Typed and valid events. A value that can't be read is null. No JSON timestamp type of Flink
-- reads +00:00, so the offset is removed and subtracted. A cast to DECIMAL rounds; the comparison
-- with a wider type detects that.
CREATE VIEW product_events_text AS
SELECT
    record_key,
    r.`event_id` AS `event_id`,
    r.`action` AS `action`,
    r.`old_price` AS `old_price`,
    r.`timestamp` AS `event_time_text`,
    r.`product`.`product_id` AS `product_id`,
    r.`product`.`product_name` AS `product_name`,
    r.`product`.`description` AS `description`,
    r.`product`.`price` AS `price`,
    COALESCE(r.`product`.`stock_quantity`, '0') AS `stock_quantity`,
    COALESCE(r.`product`.`discount`, '0.00') AS `discount`,
    r.`product`.`created_at` AS `created_at`,
    r.`product`.`updated_at` AS `updated_at`,
    source_partition,
    source_offset,
    arrival
FROM product_events_raw AS r;

CREATE VIEW product_events_typed AS
SELECT
    record_key,
    `event_id`,
    `action`,
    TRY_CAST(`old_price` AS DECIMAL(10, 2)) AS `old_price`,
    TIMESTAMPADD(
        MINUTE,
        -COALESCE(
            60 * CAST(REGEXP_EXTRACT(`event_time_text`, '([+-][0-9]{2})(?::?[0-9]{2})?$', 1) AS INT)
            + COALESCE(CAST(
                REGEXP_EXTRACT(`event_time_text`, '([+-])[0-9]{2}:?[0-9]{2}$', 1)
                || REGEXP_EXTRACT(`event_time_text`, '[+-][0-9]{2}:?([0-9]{2})$', 1) AS INT), 0),
            0),
        TRY_CAST(REPLACE(REGEXP_REPLACE(`event_time_text`, '(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)$', ''), 'T', ' ') AS TIMESTAMP(6))) AS `event_timestamp`,
    `product_id` AS `product_id_text`,
    TRY_CAST(`product_id` AS BIGINT) AS `product_id`,
    `product_name`,
    `description`,
    `price` AS `price_text`,
    TRY_CAST(`price` AS DECIMAL(10, 2)) AS `price`,
    `stock_quantity` AS `stock_quantity_text`,
    TRY_CAST(`stock_quantity` AS INT) AS `stock_quantity`,
    `discount` AS `discount_text`,
    TRY_CAST(`discount` AS DECIMAL(10, 2)) AS `discount`,
    `created_at`,
    `updated_at`,
    source_partition,
    source_offset,
    arrival
FROM product_events_text
WHERE `event_id` IS NOT NULL
    AND `action` IS NOT NULL
    AND REGEXP(`event_time_text`, '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?$')
    AND TRY_CAST(SUBSTRING(`event_time_text`, 1, 10) AS DATE) IS NOT NULL;

CREATE VIEW product_events_flattened AS
SELECT
    `event_id`,
    `action`,
    `old_price`,
    `event_timestamp`,
    `product_id`,
    `product_name`,
    `description`,
    `price`,
    `stock_quantity`,
    `discount`,
    `created_at`,
    `updated_at`,
    source_partition,
    source_offset,
    arrival
FROM product_events_typed
WHERE record_key = CAST(`product_id` AS STRING)
    AND `event_timestamp` IS NOT NULL
    AND (`action` IN ('deleted') OR (`product_name` IS NOT NULL AND `price_text` IS NOT NULL))
    AND `product_id` >= 1
    AND REGEXP(`product_id_text`, '^[+-]?[0-9]+(?:\.0+)?$')
    AND (`product_name` IS NULL OR (CHAR_LENGTH(`product_name`) BETWEEN 1 AND 255))
    AND (`price_text` IS NULL OR (`price` = TRY_CAST(`price_text` AS DECIMAL(38, 18)) AND `price` >= 0))
    AND `stock_quantity` >= 0
    AND `stock_quantity` <= 2147483647
    AND REGEXP(`stock_quantity_text`, '^[+-]?[0-9]+(?:\.0+)?$')
    AND `discount` = TRY_CAST(`discount_text` AS DECIMAL(38, 18))
    AND `discount` >= 0;

-- 3. The decision. Late events are dropped first. The rest is grouped by event id, and
-- the first of a group in each window is emitted.
CREATE VIEW product_events_ordered AS
SELECT
    *,
    `event_timestamp` < MAX(`event_timestamp`) OVER (
        PARTITION BY `product_id` ORDER BY arrival
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS late,
    CASE WHEN `action` NOT IN ('deleted') THEN JSON_ARRAY(
        `product_name`, `description`, CAST(`price` AS STRING), `stock_quantity`, CAST(`discount` AS STRING)
        NULL ON NULL) END AS content
FROM product_events_flattened;

CREATE VIEW product_events_current AS
SELECT
    *,
    LAG(`event_timestamp`) OVER (PARTITION BY `event_id`, `product_id` ORDER BY arrival) AS last_seen
FROM product_events_ordered
WHERE NOT late;

-- The window is fixed: it begins with the event that is emitted, so each decision depends on the
-- one before. In the pattern, A was emitted, B are its repeats, and C is the first event after its
-- window: C is emitted, and is the A of the next match. The first event of a group has no A, so a
-- copy of it is put before it as a marker.
CREATE VIEW product_events_marked AS
SELECT e.*, m.is_marker
FROM product_events_current AS e
CROSS JOIN UNNEST(
    CASE WHEN e.last_seen IS NULL THEN ARRAY[TRUE, FALSE] ELSE ARRAY[FALSE] END) AS m (is_marker);

CREATE VIEW product_events_first AS
SELECT *
FROM product_events_marked
MATCH_RECOGNIZE (
    PARTITION BY `event_id`, `product_id`
    ORDER BY arrival
    MEASURES
        C.`action` AS `action`,
        C.`old_price` AS `old_price`,
        C.`event_timestamp` AS `event_timestamp`,
        C.`product_name` AS `product_name`,
        C.`description` AS `description`,
        C.`price` AS `price`,
        C.`stock_quantity` AS `stock_quantity`,
        C.`discount` AS `discount`,
        C.`created_at` AS `created_at`,
        C.`updated_at` AS `updated_at`,
        C.source_partition AS source_partition,
        C.source_offset AS source_offset,
        C.content AS content,
        MATCH_PROCTIME() AS arrival
    ONE ROW PER MATCH
    AFTER MATCH SKIP TO LAST C
    PATTERN (A B* C)
    DEFINE
        B AS NOT A.is_marker AND B.`event_timestamp` < A.`event_timestamp` + INTERVAL '0 00:10:00.000' DAY(1) TO SECOND(3),
        C AS A.is_marker OR C.`event_timestamp` >= A.`event_timestamp` + INTERVAL '0 00:10:00.000' DAY(1) TO SECOND(3)
) AS matched;

-- A delete is a tombstone if the last of these left a product. The rest are duplicates.
CREATE VIEW product_events_decided AS
SELECT
    *,
    CASE
        WHEN content IS NULL AND known_content IS NULL THEN 'duplicate'
        WHEN content IS NULL THEN 'tombstone'
        WHEN content = known_content THEN 'refresh'
        ELSE 'change'
    END AS outcome
FROM (
    SELECT *, LAG(content) OVER (PARTITION BY `product_id` ORDER BY arrival) AS known_content
    FROM product_events_first);

CREATE VIEW product_events_deduplicated AS
SELECT
    `event_id`,
    `action`,
    `old_price`,
    `event_timestamp`,
    `product_id`,
    `product_name`,
    `description`,
    `price`,
    `stock_quantity`,
    `discount`,
    TIMESTAMPADD(
        MINUTE,
        -COALESCE(
            60 * CAST(REGEXP_EXTRACT(`created_at`, '([+-][0-9]{2})(?::?[0-9]{2})?$', 1) AS INT)
            + COALESCE(CAST(
                REGEXP_EXTRACT(`created_at`, '([+-])[0-9]{2}:?[0-9]{2}$', 1)
                || REGEXP_EXTRACT(`created_at`, '[+-][0-9]{2}:?([0-9]{2})$', 1) AS INT), 0),
            0),
        TRY_CAST(REPLACE(REGEXP_REPLACE(`created_at`, '(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)$', ''), 'T', ' ') AS TIMESTAMP(6))) AS `created_at`,
    TIMESTAMPADD(
        MINUTE,
        -COALESCE(
            60 * CAST(REGEXP_EXTRACT(`updated_at`, '([+-][0-9]{2})(?::?[0-9]{2})?$', 1) AS INT)
            + COALESCE(CAST(
                REGEXP_EXTRACT(`updated_at`, '([+-])[0-9]{2}:?[0-9]{2}$', 1)
                || REGEXP_EXTRACT(`updated_at`, '[+-][0-9]{2}:?([0-9]{2})$', 1) AS INT), 0),
            0),
        TRY_CAST(REPLACE(REGEXP_REPLACE(`updated_at`, '(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)$', ''), 'T', ' ') AS TIMESTAMP(6))) AS `updated_at`,
    source_partition,
    source_offset,
    arrival,
    outcome
FROM product_events_decided
WHERE outcome IN ('change', 'refresh', 'tombstone');

-- 4. Output. Written as plain records, because upsert-kafka writes no tombstones from an
-- append-only query: a null value is a tombstone. Key and value are the bytes that upsert-kafka
-- reads. A tombstone has its time and source in the worker's headers, a row in its fields.
CREATE TABLE src_products_records (
    record_key STRING,
    record_value STRING,
    headers MAP<STRING, BYTES> METADATA
) WITH (
    'connector' = 'kafka',
    'topic' = 'src_products',
    'properties.bootstrap.servers' = 'localhost:9092',
    'key.format' = 'raw',
    'key.fields' = 'record_key',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
);

-- The same topic as a table: the latest row of every product that is not deleted.
CREATE TABLE src_products (
    `product_id` BIGINT,
    `product_name` STRING,
    `description` STRING,
    `price` DECIMAL(10, 2),
    `stock_quantity` INT,
    `discount` DECIMAL(10, 2),
    `created_at` TIMESTAMP_LTZ(6),
    `updated_at` TIMESTAMP_LTZ(6),
    last_event_id STRING,
    last_action STRING,
    last_event_timestamp TIMESTAMP_LTZ(6),
    last_old_price DECIMAL(10, 2),
    processing_time TIMESTAMP_LTZ(6),
    PRIMARY KEY (`product_id`) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = 'src_products',
    'properties.bootstrap.servers' = 'localhost:9092',
    'properties.isolation.level' = 'read_committed',
    'key.format' = 'json',
    'value.format' = 'json',
    'value.json.timestamp-format.standard' = 'ISO-8601',
    'value.json.encode.decimal-as-plain-number' = 'true'
);

-- 5. Example queries:
--   SELECT * FROM deduplication_stats;
--   SELECT * FROM current_product_state;
--   SELECT `product_id`, `event_timestamp` FROM product_events_flattened
--     ORDER BY `event_timestamp` DESC LIMIT 10;
--   SELECT 'Raw Events' AS source, COUNT(*) AS events FROM product_events_flattened
--     UNION ALL SELECT 'Deduplicated', COUNT(*) FROM product_events_deduplicated;
-- What was emitted of an event may be counted before the event: of no events there is no share.
CREATE VIEW deduplication_stats AS
SELECT
    *,
    CAST(100.0 * duplicates / NULLIF(total_events, 0) AS DECIMAL(5, 2)) AS duplicate_percentage
FROM (
    SELECT
        COUNT(*) FILTER (WHERE outcome IN ('current', 'stale')) AS total_events,
        COUNT(DISTINCT `product_id`) AS unique_products,
        COUNT(*) FILTER (WHERE outcome = 'change') AS changes,
        COUNT(*) FILTER (WHERE outcome = 'refresh') AS refreshes,
        COUNT(*) FILTER (WHERE outcome = 'current')
            - COUNT(*) FILTER (WHERE outcome NOT IN ('current', 'stale')) AS duplicates,
        COUNT(*) FILTER (WHERE outcome = 'stale') AS stale,
        COUNT(*) FILTER (WHERE outcome = 'tombstone') AS tombstones
    FROM (
        SELECT `product_id`, CASE WHEN late THEN 'stale' ELSE 'current' END AS outcome
        FROM product_events_ordered
        UNION ALL SELECT `product_id`, outcome FROM product_events_deduplicated));

CREATE VIEW current_product_state AS
SELECT `product_id`, `product_name`, `description`, `price`, `stock_quantity`, `discount`, `created_at`, `updated_at`, last_event_id, last_action, last_event_timestamp, last_old_price
FROM src_products;

INSERT INTO src_products_records
SELECT
    '{"product_id":' || CAST(`product_id` AS STRING) || '}',
    CASE WHEN outcome <> 'tombstone' THEN JSON_OBJECT(
        KEY 'product_id' VALUE `product_id`,
        KEY 'product_name' VALUE `product_name`,
        KEY 'description' VALUE `description`,
        KEY 'price' VALUE CAST(`price` AS STRING),
        KEY 'stock_quantity' VALUE `stock_quantity`,
        KEY 'discount' VALUE CAST(`discount` AS STRING),
        KEY 'created_at' VALUE REPLACE(CAST(`created_at` AS STRING), ' ', 'T') || 'Z',
        KEY 'updated_at' VALUE REPLACE(CAST(`updated_at` AS STRING), ' ', 'T') || 'Z',
        KEY 'last_event_id' VALUE `event_id`,
        KEY 'last_action' VALUE `action`,
        KEY 'last_event_timestamp' VALUE REPLACE(CAST(`event_timestamp` AS STRING), ' ', 'T') || 'Z',
        KEY 'last_old_price' VALUE CAST(`old_price` AS STRING),
        KEY 'processing_time' VALUE REPLACE(CAST(CAST(arrival AS TIMESTAMP(3)) AS STRING), ' ', 'T') || 'Z'
        NULL ON NULL) END,
    CASE WHEN outcome = 'tombstone' THEN MAP[
        'dedup.event_time', ENCODE(CAST(
            TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', `event_timestamp`) AS STRING)
            || SUBSTRING(CAST(`event_timestamp` AS STRING), 21, 6), 'UTF-8'),
        'dedup.source', ENCODE(
            CAST(source_partition AS STRING) || '/' || CAST(source_offset AS STRING), 'UTF-8')
        ] END
FROM product_events_deduplicated;
