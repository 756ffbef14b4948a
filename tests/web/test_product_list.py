"""The list of products: every product once, in order, both ways, at a bounded price."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest
from aiohttp.web import HTTPServiceUnavailable

from dedup.core.keys import Id
from dedup.core.state import State
from dedup.state.store import PartitionStore
from dedup.streaming.table_manager import StateTableManager
from dedup.web.entity_rows import PAGE, SCANNED_PER_PAGE
from dedup.web.models import EntityList
from tests.web.shelves import PREFIX, Shelf, rows_state

MANY = 30_000


def state(product_id: int, name: str | None) -> State:
    return rows_state("PRODUCT", product_id, name)


class Products(Shelf):
    """The products of three partitions."""

    living: list[int]

    def fill(self, names: dict[int, str | None], random: Random) -> None:
        self.fill_states({i: state(i, name) for i, name in names.items()}, random)
        self.living = sorted(i for i, name in names.items() if name is not None)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Products]:
    made = Products(tmp_path / "state")
    yield made
    await made.close()


def ids(page: EntityList) -> list[int]:
    return [int(line.id) for line in page.rows]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("search", ["", "AB"])
async def test_walking_on_and_back_shows_every_product_once(
    shelf: Products, seed: int, search: str
) -> None:
    random = Random(seed)
    largest = 2**63 - 1
    chosen = [1, largest, *(random.randint(1, 10**12) for _ in range(600))]
    names = {
        product_id: None if random.random() < 0.3 else random.choice(("Cab", "ABC", "x", "abacus"))
        for product_id in chosen
    }
    shelf.fill(names, random)
    wanted = [i for i in shelf.living if search.casefold() in str(names[i]).casefold()]
    forward, page = [], await shelf.rows.page(search=search)
    assert page.previous_before is None
    while True:
        forward += ids(page)
        assert len(page.rows) <= PAGE
        if page.next_after is None:
            break
        page = await shelf.rows.page(after=page.next_after, search=search)
    assert forward == wanted
    backward: list[int] = []
    page = await shelf.rows.page(before=largest, search=search)
    while True:
        backward = ids(page) + backward
        if page.previous_before is None:
            break
        page = await shelf.rows.page(before=page.previous_before, search=search)
    assert backward == [i for i in wanted if i != largest]


async def test_a_page_costs_what_it_shows_and_a_search_is_bounded(
    shelf: Products, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.fill({i: f"Product {i}" for i in range(1, MANY + 1)}, Random(1))
    looked_at = 0
    scan = PartitionStore.scan

    def counted(
        self: PartitionStore, product_id: int, *, backwards: bool = False
    ) -> Iterator[tuple[Id, bytes | None]]:
        nonlocal looked_at
        for each in scan(self, product_id, backwards=backwards):
            looked_at += 1
            yield each

    monkeypatch.setattr(PartitionStore, "scan", counted)
    middle = await shelf.rows.page(after=MANY // 2)
    assert ids(middle) == list(range(MANY // 2 + 1, MANY // 2 + 1 + PAGE))
    assert looked_at <= 2 * (PAGE + 3)
    looked_at = 0
    nothing = await shelf.rows.page(search="no such name")
    assert (nothing.rows, nothing.complete) == ([], False)
    assert nothing.scanned == SCANNED_PER_PAGE == nothing.next_after
    assert looked_at <= 1.1 * SCANNED_PER_PAGE
    rest = await shelf.rows.page(search="no such name", after=nothing.next_after or 0)
    assert (rest.complete, rest.next_after, rest.scanned) == (True, None, MANY - SCANNED_PER_PAGE)


async def test_nothing_is_shown_while_the_states_are_recovered(shelf: Products) -> None:
    tables = shelf.app.tables
    assert isinstance(tables, StateTableManager)
    tables.recovery.on_partitions_revoked(set())
    with pytest.raises(HTTPServiceUnavailable):
        await shelf.rows.page()
    with pytest.raises(HTTPServiceUnavailable):
        await shelf.rows.row(1)


@pytest.mark.parametrize("backwards", [False, True])
async def test_a_product_in_two_partitions_of_a_worker_is_one_line(
    shelf: Products, backwards: bool
) -> None:
    """At the page's edge too, where one of the two could be lost."""
    shelf.fill({i: f"P{i}" for i in range(1, 60)}, Random(1))
    for partition in (0, 2, 3):
        shelf.table.write(partition, {50: state(50, "twice")}, next_offset=10**6, now_us=0)
    page = await (shelf.rows.page(before=99) if backwards else shelf.rows.page())
    assert ids(page) == list(range(10, 60) if backwards else range(1, 51))
    (line,) = [line for line in page.rows if line.id == 50]
    assert sorted(line.partitions) == [0, 2, 3]
    assert [each.partition for each in shelf.rows.find(50)] == [0, 2, 3]


@pytest.mark.parametrize("row", [b'"\x82"', b"\xff\xfe", b"[1]", b"{", b'{"price":"\xe9"}'])
async def test_a_row_that_can_t_be_read_is_shown_without_fields(
    shelf: Products, row: bytes
) -> None:
    """Another program may have written it, with headers like ours, to the output topic."""
    shelf.fill({2: "Lamp"}, Random(1))
    shelf.table.write(
        0, {1: State(PREFIX + bytes(16), 0, 0, 0, 0, 0, row)}, next_offset=9, now_us=0
    )
    assert (await shelf.rows.row(1, brief=True)).row == {}
    found = await shelf.rows.page()
    assert [(line.id, line.row == {}) for line in found.rows] == [(1, True), (2, False)]
