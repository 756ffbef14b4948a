"""What every test shares: a skipped test is a failure, for nothing was shown by it."""

import faulthandler
import logging
from collections.abc import Iterator

import hypothesis
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key  # the stderr that is not captured

from dedup.localkafka import LocalKafka

_CLEANUP_TIMEOUT_S = 120

# CI machines are slow at times; a test that hangs has pytest's timeout.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

_skipped: list[str] = []


class _Failures:
    """Name a test when it fails: a run that is ended later still says which one it was."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._terminal.ensure_newline()
            self._terminal.write_line(f"FAILED {report.nodeid} ({report.when})", red=True)
            self._terminal.write_line(report.longreprtext[-1500:])


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:  # a process of pytest-xdist has none
        config.pluginmanager.register(_Failures(terminal))


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Set pytest's deadline again, which it gives up at a failure.

    A task that can't be cancelled would hang the cleanup of a failed test, and with it the run.
    """
    stderr = node.config.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(_CLEANUP_TIMEOUT_S, file=stderr, exit=True)


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
