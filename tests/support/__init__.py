"""What tests and benchmarks share: real workers, brokers' topics, PostgreSQL, records of both."""
