"""One list made of those of many workers: nothing twice, nothing lost, however it is walked."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from dedup.core.keys import Id
from dedup.settings import load_settings
from dedup.streaming.wiring import build_app
from dedup.web.entity_rows import PAGE
from dedup.web.merge_answers import merge_lists
from dedup.web.models import EntityList, Unanswered
from dedup.web.partition_router import PartitionRouter
from tests.support.topic_facts import topic_facts
from tests.web.product_models import ProductLine, ProductList

LOOKED_AT = 90
"""Products a worker of this test looks at for one page of a search."""


def page_of(worker: int, ids: list[int], wanted: set[int], after: Any, before: Any) -> EntityList:
    """What a worker answers that knows these products: a page, or as far as it looked."""
    rest = [i for i in ids if (i > after if before is None else i < before)]
    rest = rest if before is None else rest[::-1]
    found: list[int] = []
    looked = 0
    for product_id in rest[:LOOKED_AT]:
        looked += 1
        if product_id in wanted:
            found.append(product_id)
        if len(found) == PAGE:
            break
    cursor = rest[looked - 1] if looked < len(rest) else None
    row = {"last_event_timestamp": f"2026-01-01T00:00:0{worker}.000000Z", "worker": worker}
    return ProductList(
        rows=[ProductLine(id=i, partitions=[worker], row=row) for i in sorted(found)],
        search="",
        scanned=looked,
        complete=cursor is None or len(found) == PAGE,
        previous_before=cursor if before is not None else None,
        next_after=cursor if before is None else None,
        total=len(ids),
        searched=[worker],
        unanswered=[],
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_walk_over_all_workers_shows_every_product_once(seed: int) -> None:
    """Products in several partitions among them, and workers that know many more than others."""
    random = Random(seed)
    known = [
        sorted(random.sample(range(1, 2_000), random.choice((0, 3, 60, 700)))) for _ in range(4)
    ]
    every = sorted({i for ids in known for i in ids})
    wanted = {i for i in every if random.random() < random.choice((0.05, 1.0))}

    def page(after: Id, before: Id | None) -> EntityList:
        answers = [page_of(n, ids, wanted, after, before) for n, ids in enumerate(known)]
        return merge_lists(answers, [], after, before, "")

    forward: list[int] = []
    after: Id | None = 0
    while after is not None:
        found = page(after, None)
        forward += [int(line.id) for line in found.rows]
        for line in found.rows:
            where = [n for n, ids in enumerate(known) if line.id in ids]
            assert (sorted(line.partitions), line.partitions[0]) == (where, max(where))
            assert line.row["worker"] == max(where), "the newest row"
        after = found.next_after
    assert forward == sorted(wanted)
    backward: list[int] = []
    before: Id | None = 10_000
    while before is not None:
        found = page(0, before)
        backward = [int(line.id) for line in found.rows] + backward
        before = found.previous_before
    assert backward == sorted(wanted)


def test_what_no_answer_covers_is_named_by_its_owner_or_as_nobody_s(tmp_path: Path) -> None:
    """Also where two workers have one address, of which the group then knows one."""
    app = build_app(load_settings({"DEDUP_DATA_DIR": str(tmp_path / "state")}))
    app.assemble(topic_facts(partitions=6))
    router = PartitionRouter(app, app.settings)
    silent = Unanswered(worker="http://b:1", partitions=[2, 3], since=None, why="It is away.")
    gone = silent.model_copy(update={"worker": "http://c:1", "partitions": [0]})
    assert router.not_covered(range(6), [silent, gone]) == []
    named, nobody = router.not_covered([0, 1, 3], [silent, gone])
    assert (named.worker, named.partitions, named.why) == ("http://b:1", [2], "It is away.")
    assert (nobody.worker, nobody.partitions) == (None, [4, 5])
    assert "No worker is known to own partitions 4, 5:" in nobody.why
    assert "two workers have the same address: set DEDUP_WEB_URL" in nobody.why
