"""Writes the output topic to tables of other systems and keeps them up to date."""
