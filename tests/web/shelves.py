"""The rows of an app whose table is filled by hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random

from dedup.core.fingerprint import scheme_prefix
from dedup.core.keys import Id
from dedup.core.state import NO_FINGERPRINT, State
from dedup.entities.product import PRODUCT
from dedup.entities.resolve import DEFAULT
from dedup.settings import load_settings
from dedup.state.table import StateTable
from dedup.streaming.table_manager import StateTableManager
from dedup.streaming.wiring import build_app
from dedup.web.entity_rows import EntityRows
from dedup.web.partition_router import PartitionRouter
from tests.support.topic_facts import topic_facts

PREFIX = scheme_prefix(PRODUCT.content)
_NAMES = {
    "PRODUCT": ("product_id", "product_name"),
    "ORDER": ("order_id", "customer"),
    "READING": ("reading_id", "name"),
}


def rows_state(entity: str, row_id: Id, text: str | None) -> State:
    """The state of a row with an id and a text; without a text, of a deleted one."""
    if text is None:
        return State(NO_FINGERPRINT, 0, 0, 0, 0, 0, None)
    id_name, text_name = _NAMES[entity]
    row = json.dumps({id_name: row_id, text_name: text}, ensure_ascii=False).encode()
    return State(PREFIX + bytes(16), 0, 0, 0, 0, 0, row)


class Shelf:
    """The rows of three partitions."""

    def __init__(self, directory: Path, entity: str = DEFAULT) -> None:
        app = build_app(load_settings({"DEDUP_DATA_DIR": str(directory), "DEDUP_ENTITY": entity}))
        app.assemble(topic_facts())
        self.app = app
        table = app.table
        assert isinstance(table, StateTable)
        self.table = table
        tables = app.tables
        assert isinstance(tables, StateTableManager)
        tables.recovery.completed.set()
        self.rows = EntityRows(app, table, PartitionRouter(app, app.settings))

    def fill_states(self, states: Mapping[Id, State], random: Random) -> None:
        """Put each state into one of three partitions."""
        for partition in (0, 2, 3):
            self.table.data.partition(partition)
        parts: dict[int, dict[Id, State]] = {0: {}, 2: {}, 3: {}}
        for row_id, state in states.items():
            parts[random.choice((0, 2, 3))][row_id] = state
        for partition, some in parts.items():
            self.table.write(partition, some, next_offset=len(some) + 1, now_us=0)

    async def close(self) -> None:
        """Close the table."""
        await self.table.data.on_stop()


async def walk(shelf: Shelf, search: str, *, backwards: bool) -> list[Id]:
    """The ids of all pages in order, walked by their cursors; every page is complete."""
    found: list[Id] = []
    at: Id | None = None
    first = True
    if backwards:  # from the last page, which only a walk forwards leads to
        while (page := await shelf.rows.page(after=at, search=search)).next_after is not None:
            at = page.next_after
        found, at = [line.id for line in page.rows], page.previous_before
        first = False
    while first or at is not None:
        first = False
        if backwards:
            page = await shelf.rows.page(before=at, search=search)
            found = [*(line.id for line in page.rows), *found]
            at = page.previous_before
        else:
            page = await shelf.rows.page(after=at, search=search)
            found += [line.id for line in page.rows]
            at = page.next_after
    return found
