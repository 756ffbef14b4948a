"""A seeded producer of product events with duplicates, for demos, tests and benchmarks."""
