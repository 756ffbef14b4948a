"""`dedup kafka`: the embedded broker as a command."""

import signal
import socket
from pathlib import Path

import psutil
import pytest

from dedup.localkafka.ports import free_port
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


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_three_brokers_end_with_the_command(sent: signal.Signals, tmp_path: Path) -> None:
    """Three addresses in one line. However it ends, nothing is left but a directory to keep."""
    killed = sent == signal.SIGKILL
    kept = ("--data-dir", str(tmp_path)) if killed else ()
    first = free_port()  # not 9092, which the broker of another test would take at once
    with python(CLI, "--brokers", "3", "--port", str(first), *kept) as command:
        assert command.stdout is not None
        ports = [int(a.rpartition(":")[2]) for a in command.stdout.readline().strip().split(",")]
        brokers = psutil.Process(command.pid).children()
        for port in ports:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        command.send_signal(sent)
        rest, messages = command.communicate(timeout=60)
    assert (len(set(ports)), len(brokers)) == (3, 3)
    assert (command.returncode, rest) == (-sent if killed else 0, "")
    (data,) = [Path(line[6:]) for line in messages.splitlines() if line.startswith("data  ")]
    assert data.exists() == killed
    assert all(f"log   {data / f'broker-{n}' / 'kafka.log'}" in messages for n in (1, 2, 3))
    assert psutil.wait_procs(brokers, timeout=10)[1] == []
    for port in ports:
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
