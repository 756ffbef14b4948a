"""Keeps tables of other systems in step with `src_products`."""
