"""How many rows a partition has: counted once in small steps, then kept up to date."""

from collections.abc import Callable, Iterator
from itertools import islice

from dedup.core.state import marks_deleted
from dedup.state.row_keys import FIRST_OTHER_KEY


class RowCount:
    """Counts the rows that are known and not deleted."""

    def __init__(
        self, entries: Callable[[], Iterator[tuple[bytes, bytes]]], rows: int | None
    ) -> None:
        """Take what returns keys and values of the database as of now, by key, and their number.

        `rows` is None if it is not known.
        """
        self._entries = entries
        self._counted = rows or 0
        self._to_count: Iterator[tuple[bytes, bytes]] | None = None
        self._all_counted = rows is not None

    @property
    def rows(self) -> int | None:
        """How many rows there are; None until `count_some` has seen all."""
        return self._counted if self._all_counted else None

    def restart(self) -> None:
        """Discard the count: what is written next is not added by `add`."""
        self._counted, self._to_count, self._all_counted = 0, None, False

    def count_some(self, limit: int) -> None:
        """Count up to `limit` more entries, of those that existed when counting started."""
        if self._all_counted:
            return
        if self._to_count is None:
            self._to_count = self._entries()
        seen = 0
        for key, data in islice(self._to_count, limit):
            if key >= FIRST_OTHER_KEY:
                break
            self._counted += not marks_deleted(data)
            seen += 1
        if seen == limit:
            return
        self._to_count, self._all_counted = None, True

    def add(self, number: int) -> None:
        """Add the change of a write to the number of rows."""
        if self._all_counted or self._to_count is not None:
            self._counted += number
