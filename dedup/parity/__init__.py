"""Compares the worker's output on your topics with that of the Flink reference."""
