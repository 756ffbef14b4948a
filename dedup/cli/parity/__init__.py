"""Comparing the worker with the Flink reference."""
