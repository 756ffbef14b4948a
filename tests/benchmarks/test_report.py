"""What stands in a result: medians, and everyone who has none."""

from benchmarks.clock import Figures
from benchmarks.report import markdown
from benchmarks.rounds import Outcome


def figures(events_per_s: int) -> Figures:
    """Figures of one round."""
    return Figures(events_per_s, events_per_s, 1.0, 10.0, 5.0, 100, 3.0, 7)


def table(*outcomes: Outcome) -> list[str]:
    """The rows of the table."""
    return markdown({"contenders": [each.record() for each in outcomes]}).splitlines()[2:]


def test_the_table_gives_median_and_range_fastest_first() -> None:
    slow = Outcome("a", "slow", "", rounds=[figures(n) for n in (1000, 3000, 2000)])
    fast = Outcome("b", "fast", "", rounds=[figures(50_000)])
    first, second = table(slow, fast)
    assert first.startswith("| fast | 50,000 (50,000-50,000) |")
    assert second.startswith("| slow | 2,000 (1,000-3,000) |")


def test_who_could_not_run_or_was_wrong_stands_in_the_table() -> None:
    absent = Outcome("a", "absent", "", could_not_run="mvn is not there\nand more")
    wrong = Outcome("b", "wrong", "", failures=["round 1: the output is wrong", "round 2: too"])
    first, second = table(absent, wrong)
    assert first.startswith("| absent | could not run: mvn is not there |")
    assert second.startswith("| wrong | no figure counts: round 1: the output is wrong |")


def test_who_was_not_run_before_a_benchmark_was_stopped_stands_in_the_table() -> None:
    (row,) = table(Outcome("a", "later", ""))
    assert row.startswith("| later | not run yet |")


def test_a_contender_that_was_wrong_in_one_round_has_no_figure() -> None:
    """A median of the rounds that went well would hide the one that did not."""
    mixed = Outcome("a", "mixed", "", rounds=[figures(1000)], failures=["round 2: wrong"])
    (row,) = table(mixed)
    assert row.startswith("| mixed | no figure counts: round 2: wrong |")
