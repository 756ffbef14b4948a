"""The Docker engine and compose of the deployment tests.

On a machine without a container registry - IMAGES=stand-in, the default - an engine is started by
hand, with a data root of its own and stand-ins under the names of the base images; that needs root
on a Debian, whose `docker.io` and `debootstrap` are installed if they are missing. With IMAGES=real
the machine's own engine runs the real images.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = ROOT / ".cache" / "deploy" / "docker-compose"
_READY_WITHIN_S: Final = 60.0


def run(*command: str | Path, environ: Mapping[str, str] | None = None) -> str:
    """Run a command, its output in pytest's; give what it wrote to stdout. Fails if it fails."""
    environ = {**os.environ, **(environ or {})}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, check=False
    )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: exit code {done.returncode}"
    return done.stdout


@contextmanager
def engine() -> Iterator[Mapping[str, str]]:
    """Return the environment in which `docker` reaches an engine that has the base images."""
    if os.environ.get("IMAGES", "stand-in") == "real":
        yield {}
        return
    if not all(map(shutil.which, ("docker", "dockerd", "debootstrap"))):
        run("apt-get", "update", "--quiet")
        install = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends"]
        run(*install, "docker.io", "debootstrap", "iptables", "iproute2")
    directory = Path(tempfile.mkdtemp(prefix="dedup-docker-"))
    try:
        with _network_as_before(), _daemon(directory) as environ:
            made = directory / "stand-ins"
            run(ROOT / "tests/deploy/stand_ins/make.sh", made, sys.executable, environ=environ)
            shutil.rmtree(made)
            yield environ
    finally:
        shutil.rmtree(directory)


@contextmanager
def _network_as_before() -> Iterator[None]:
    """Take away the bridge, the firewall's rules and the forwarding that dockerd leaves behind."""
    bridge, forwarding = Path("/sys/class/net/docker0"), Path("/proc/sys/net/ipv4/ip_forward")
    assert not bridge.exists(), (
        "there is a network docker0: another Docker engine runs, which IMAGES=real would use, or "
        "one has left it behind: ip link delete docker0"
    )
    forwarded, rules = forwarding.read_text(), run("iptables-save")
    for empty in ("*filter\n:FORWARD ACCEPT\nCOMMIT\n", "*nat\nCOMMIT\n"):
        if empty.split("\n")[0] not in rules:  # a table without rules is not saved
            rules += empty
    try:
        yield
    finally:
        restore = ["iptables-restore"]
        subprocess.run(restore, input=rules, text=True, check=True)
        forwarding.write_text(forwarded)
        if bridge.exists():
            run("ip", "link", "delete", "docker0")


@contextmanager
def _daemon(directory: Path) -> Iterator[Mapping[str, str]]:
    """Run dockerd with everything it keeps in `directory`."""
    socket = f"unix://{directory}/docker.sock"
    command = ["dockerd", f"--data-root={directory}/data", f"--exec-root={directory}/exec"]
    command += [f"--pidfile={directory}/pid", f"--host={socket}"]
    log = directory / "dockerd.log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(command, stdout=output, stderr=output)
    # Newer clients build with a plugin that Debian's docker.io does not have.
    environ = {"DOCKER_HOST": socket, "DOCKER_BUILDKIT": "0"}
    try:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not (directory / "docker.sock").exists():
            assert daemon.poll() is None, f"dockerd ended:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"dockerd does not listen:\n{log.read_text()}"
            time.sleep(0.2)
        yield environ
    finally:
        daemon.terminate()
        daemon.wait(60)


class Project:
    """`docker compose` on docker-compose.yml, with ports and a name of its own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __call__(self, *arguments: str) -> str:
        """Run a command of compose; give what it wrote to stdout."""
        return run(COMPOSE, "--progress=quiet", *arguments, environ=self._environ)

    def rows(self, sql: str) -> list[list[str]]:
        """Ask the demo's PostgreSQL."""
        psql = ["psql", "--username=products", "--tuples-only", "--no-align", "--field-separator=,"]
        answer = self("exec", "-T", "postgres", *psql, f"--command={sql}", "products")
        return [line.split(",") for line in answer.splitlines() if line]


def wait_for(what: str, found: Any, *, within_s: float = 120) -> Any:
    """Poll `found()` until it gives something; fail with its name after `within_s`."""
    deadline = time.monotonic() + within_s
    while not (answer := found()):
        assert time.monotonic() < deadline, f"after {within_s} s there is no {what}"
        time.sleep(1)
    return answer
