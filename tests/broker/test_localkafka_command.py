"""`dedup kafka`: the embedded broker as a command."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.broker.programs import listening, python

# Whatever runs the tests may ignore SIGINT, as a shell makes its background jobs do.
CLI = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "import sys; from dedup.cli import cli; cli(['kafka', *sys.argv[1:]])"
)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_until_it_is_told_to_end(sent: signal.Signals, tmp_path: Path) -> None:
    """Stdout carries the address and nothing else, so that a script can read it."""
    with python(CLI, "--data-dir", str(tmp_path)) as command:
        assert command.stdout is not None
        address = command.stdout.readline().strip()
        assert address.startswith("127.0.0.1:")
        command.send_signal(sent)
        rest, messages = command.communicate(timeout=60)
    assert (command.returncode, rest) == (0, "")
    assert str(tmp_path / "kafka.log") in messages
    assert "Ctrl-C" in messages


def test_the_command_reports_a_taken_port() -> None:
    with listening() as port, python(CLI, "--port", str(port)) as command:
        out, messages = command.communicate(timeout=60)
    assert (command.returncode, out) == (1, "")
    assert f"Port {port} on 127.0.0.1 is taken" in messages


def test_the_command_ends_when_its_broker_does(tmp_path: Path) -> None:
    with python(CLI, "--data-dir", str(tmp_path)) as command:
        assert command.stdout is not None
        command.stdout.readline()
        (java,) = psutil.Process(command.pid).children()
        java.kill()
        _, messages = command.communicate(timeout=60)
    assert command.returncode == 1
    assert "exited unexpectedly" in messages
