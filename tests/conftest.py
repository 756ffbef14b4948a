"""What every test shares: a skipped test is a failure, for nothing was shown by it."""

import logging
from collections.abc import Iterator

import pytest

from dedup.localkafka import LocalKafka

_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for nodeid in _skipped:
        terminalreporter.write_line(f"FAILED {nodeid} - it was skipped", red=True)


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The addresses of a real broker that the tests of this process share.

    Each test has topics and groups of its own; one that changes the broker starts its own.
    """
    with LocalKafka() as broker:
        yield broker.bootstrap_servers


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """Take away what a command that runs in the test's process has configured."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
