"""The short form of `make test-restarts`."""

from pathlib import Path

from tests.chaos import restarts


def test_workers_survive_brokers_that_are_shut_down_cleanly(tmp_path: Path) -> None:
    """The script of `make test-restarts`, with shorter pauses: processes as an operator runs."""
    report = restarts.run(tmp_path, restarts=2, down_s=3, up_s=4)

    assert report.workers_up == [True, True], report.last_words
    assert report.faults == []
    assert report.verify_code == 0, report.verify_output
