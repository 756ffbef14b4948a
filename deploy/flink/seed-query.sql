-- The query this project began with: the latest event per product and content, by ROW_NUMBER.
-- Kept to show its errors: docs/flink.md explains them, `make parity` demonstrates each. Do not run it
-- on topics that you need: flink-deduplication.sql is the correct one.

SET 'execution.runtime-mode' = 'streaming';
SET 'table.local-time-zone' = 'UTC';

CREATE TABLE product_events_raw (
    event_id STRING,
    `action` STRING,
    `timestamp` TIMESTAMP_LTZ(6),
    product ROW<
        product_id BIGINT,
        product_name STRING,
        description STRING,
        price DECIMAL(10, 2),
        stock_quantity INT,
        discount DECIMAL(10, 2),
        created_at TIMESTAMP_LTZ(6),
        updated_at TIMESTAMP_LTZ(6)>,
    old_price DECIMAL(10, 2)
) WITH (
    'connector' = 'kafka',
    'topic' = 'products',
    'properties.bootstrap.servers' = 'localhost:9092',
    'properties.group.id' = 'product-dedup-seed-query',
    'scan.startup.mode' = 'earliest-offset',
    'format' = 'json',
    'json.ignore-parse-errors' = 'true',
    'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE VIEW product_events_flattened AS
SELECT
    r.event_id,
    r.`action`,
    r.`timestamp` AS event_timestamp,
    r.product.product_id AS product_id,
    r.product.product_name AS product_name,
    r.product.description AS description,
    r.product.price AS price,
    r.product.stock_quantity AS stock_quantity,
    r.product.discount AS discount,
    r.product.created_at AS created_at,
    r.product.updated_at AS updated_at,
    r.old_price
FROM product_events_raw AS r
WHERE r.product.product_id IS NOT NULL;

CREATE VIEW product_events_deduplicated AS
SELECT * FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY product_id, product_name, price, stock_quantity, discount
            ORDER BY event_timestamp DESC) AS row_num
    FROM product_events_flattened)
WHERE row_num = 1;

CREATE TABLE src_products (
    product_id BIGINT,
    product_name STRING,
    description STRING,
    price DECIMAL(10, 2),
    stock_quantity INT,
    discount DECIMAL(10, 2),
    created_at TIMESTAMP_LTZ(6),
    updated_at TIMESTAMP_LTZ(6),
    last_event_id STRING,
    last_action STRING,
    last_event_timestamp TIMESTAMP_LTZ(6),
    last_old_price DECIMAL(10, 2),
    PRIMARY KEY (product_id) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = 'src_products',
    'properties.bootstrap.servers' = 'localhost:9092',
    'key.format' = 'json',
    'value.format' = 'json'
);

CREATE VIEW deduplication_stats AS
SELECT
    COUNT(*) AS total_events,
    COUNT(DISTINCT product_id) AS unique_products,
    COUNT(*) - COUNT(DISTINCT product_id) AS duplicates
FROM product_events_flattened;

INSERT INTO src_products
SELECT
    product_id, product_name, description, price, stock_quantity, discount, created_at, updated_at,
    event_id, `action`, event_timestamp, old_price
FROM product_events_deduplicated;
