"""How far a sink is, told by the rows of its table."""

from benchmarks.clock import Figures
from benchmarks.report import markdown
from benchmarks.rounds import Outcome
from benchmarks.sink import Marks, SinkFigures, numbered

ROWS = 4000


def versions(records: int) -> dict[int, int]:
    """The table when so many records of the topic were applied, in order."""
    return {product_id: number for _, product_id, number in list(numbered(ROWS))[:records]}


def test_what_was_applied_is_told_within_a_hundredth_of_each_partition() -> None:
    marks = Marks(ROWS)
    for records in (0, 39, 400, 1999, 2000, 2001, 3600, ROWS):
        assert records - 40 < marks.done(versions(records)) <= records
    assert marks.done(versions(ROWS)) == ROWS


def test_a_partition_counts_although_the_others_wait() -> None:
    applied = {
        product_id: number for partition, product_id, number in numbered(ROWS) if partition == 1
    }
    assert Marks(ROWS).done(applied) == ROWS / 4


def test_a_few_rows_are_enough() -> None:
    assert Marks(3).done({1: 3}) == 3


def test_the_table_has_the_rate_from_the_start_only_where_there_is_one() -> None:
    usual = (1000, 1000, 1.0, 10.0, 5.0, 100, 3.0, 7)
    sink = Outcome("a", "sink", "", rounds=[SinkFigures(*usual, from_start_events_per_s=500)])
    worker = Outcome("b", "worker", "", rounds=[Figures(*usual)])
    assert "| 500 (500-500) |" in markdown({"contenders": [sink.record()]})
    assert "from start to last row" not in markdown({"contenders": [worker.record()]})
