"""Writes `src_products` to tables of other systems and keeps them up to date."""
