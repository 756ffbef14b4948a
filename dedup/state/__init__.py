"""The known states: a Faust table over RocksDB, a store for each partition, the data directory."""
