"""Entries of a database with newer ones in place of theirs."""

from collections.abc import Iterator, Mapping
from heapq import merge
from operator import itemgetter


def overlaid(
    entries: Iterator[tuple[bytes, bytes]],
    newer: Mapping[bytes, bytes],
    from_key: bytes | None,
    *,
    backwards: bool,
) -> Iterator[tuple[bytes, bytes]]:
    """Return entries by key, from a key on or from it back, with the newer ones among them."""
    wanted = [
        (key, data)
        for key, data in sorted(newer.items(), reverse=backwards)
        if from_key is None or key == from_key or (key < from_key) == backwards
    ]
    before = None
    for key, data in merge(wanted, entries, key=itemgetter(0), reverse=backwards):
        if key != before:
            yield key, data
        before = key
