"""Entities that come with the project."""
