"""Puts the Kafka connector beside PyFlink's own jars; run by the project's environment.

    python connector.py DIRECTORY_OF_PYFLINK_LIB

The jar comes from Maven Central through `jgo` and is verified by its SHA-256.
"""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from jgo.maven import MavenContext

GROUP: Final = "org.apache.flink"
ARTIFACT: Final = "flink-sql-connector-kafka"
VERSION: Final = "4.0.1-2.0"
SHA256: Final = "c7127a6518fba5d6b75eb4692229192e7147ea378e69c7b7cf16d0494057b0c3"


def install(lib: Path) -> None:
    """Fetch the connector into `lib`; a sentence and exit code 1 when it can't be had."""
    target = lib / f"{ARTIFACT}-{VERSION}.jar"
    if target.exists():
        return
    with tempfile.TemporaryDirectory(dir=lib) as directory:
        component = MavenContext(repo_cache=Path(directory), timeout=30).project(GROUP, ARTIFACT)
        try:
            fetched = component.at_version(VERSION).artifact().resolve()
        except (OSError, RuntimeError) as error:
            sys.exit(f"Error: {target.name} can't be fetched from Maven Central: {error}")
        found = hashlib.sha256(fetched.read_bytes()).hexdigest()
        if found != SHA256:
            sys.exit(f"Error: the fetched {target.name} has SHA-256 {found}, not {SHA256}.")
        shutil.move(fetched, target)


if __name__ == "__main__":
    install(Path(sys.argv[1]))
