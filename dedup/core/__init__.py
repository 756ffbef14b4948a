"""The rules of deduplication, pure: no Kafka, no store, no clock, no environment."""
