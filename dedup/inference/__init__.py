"""Infers an entity from events: its envelope, its id, its times and the types of its fields."""
