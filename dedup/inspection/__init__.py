"""Reads products, rows and decisions back from the topics; decisions are recomputed by the core."""
