"""The deduplicator itself as a contender, in its guarantees, installs and inputs."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.contender import ROOT, Command, Contender, CouldNotRunError, Run, SourceForm
from benchmarks.versions import versions_of
from dedup.core.window import Strategy
from dedup.demo.example import LATEST, Choice
from dedup.localkafka.ports import free_port

PACKAGES: Final = (
    "product-dedup",
    "faust-streaming",
    "aiokafka",
    "rocksdict",
    "pydantic",
    "msgspec",
)
PURE: Final = ROOT / ".venv-pure" / "bin" / "python"
"""The interpreter that has the package as an install without a C compiler makes it."""

WINDOW_S: Final = 600.0
"""Longer than the events of a benchmark take to produce: nothing is forgotten."""

_WORKER: Final = (
    "import sys, dedup; from faust.cli.faust import cli; "
    "sys.argv[:] = ['faust', '-A', 'dedup', 'worker', '--loglevel', 'info']; cli()"
)
"""`faust -A dedup worker`, with the package of the interpreter: Faust looks into the working
directory first, where the package of this tree is."""

_IS_COMPILED: Final = "from dedup.core.recogniser import IS_COMPILED; print(IS_COMPILED)"


def _worker(
    run: Run, *, python: Path, guarantee: str, workers: int, choice: Choice = LATEST
) -> Sequence[Command]:
    return [
        Command(
            [str(python), "-P", "-c", _WORKER],
            run.environ(
                PYTHONPATH="" if python == PURE else str(ROOT),
                KAFKA_BOOTSTRAP_SERVERS=run.servers,
                KAFKA_PRODUCT_TOPIC=run.source,
                KAFKA_SRC_PRODUCTS_TOPIC=run.output,
                KAFKA_DLQ_TOPIC=run.dead_letters,
                DEDUP_APP_ID=run.group,
                DEDUP_GUARANTEE=guarantee,
                DEDUP_DATA_DIR=str(run.directory / f"worker-{number}"),
                DEDUP_WEB_PORT=str(free_port()),
                **choice.settings,
            ),
        )
        for number in range(workers)
    ]


def _versions() -> Mapping[str, str]:
    return {name: version(name) for name in PACKAGES} | {"compiled": is_compiled(sys.executable)}


def is_compiled(python: str | Path) -> str:
    """Return whether the package of an interpreter has the compiled recogniser: yes or no."""
    answer = subprocess.run(  # noqa: S603 - our own interpreter
        [str(python), "-P", "-c", _IS_COMPILED], capture_output=True, check=True, text=True
    )
    return "yes" if answer.stdout.strip() == "True" else "no"


def ours(guarantee: str, workers: int = 1) -> Contender:
    """Return the deduplicator itself, with a guarantee and a number of workers."""
    more = "" if workers == 1 else f", {workers} workers"
    return Contender(
        f"ours-{guarantee.replace('_', '-')}{more.replace(', ', '-').replace(' ', '-')}",
        f"**product-dedup**, {guarantee.replace('_', ' ')}{more}",
        partial(_worker, python=Path(sys.executable), guarantee=guarantee, workers=workers),
        prepare=_versions,
    )


def _pure_versions() -> Mapping[str, str]:
    versions = versions_of(PURE, PACKAGES)
    if is_compiled(PURE) == "yes":
        raise CouldNotRunError(".venv-pure has the compiled recogniser: remove it, make bench")
    return {**versions, "compiled": "no"}


def pure(guarantee: str) -> Contender:
    """Return the deduplicator as it is installed where no C compiler is."""
    contender = ours(guarantee)
    return replace(
        contender,
        name=f"{contender.name}-pure",
        title=f"{contender.title}, without a C compiler",
        commands=partial(_worker, python=PURE, guarantee=guarantee, workers=1),
        prepare=_pure_versions,
    )


def by_strategy(strategy: Strategy, guarantee: str = "exactly_once") -> Contender:
    """Return the deduplicator with a strategy that remembers what a window of events emitted."""
    contender, choice = ours(guarantee), Choice(strategy, WINDOW_S)
    return replace(
        contender,
        name=f"ours-{strategy.replace('_', '-')}",
        title=f"{contender.title}, strategy `{strategy}`",
        commands=partial(
            _worker, python=Path(sys.executable), guarantee=guarantee, workers=1, choice=choice
        ),
        choice=choice,
    )


def foreign(guarantee: str) -> Contender:
    """Return the deduplicator, reading the same events as other producers write them."""
    contender = ours(guarantee)
    return replace(
        contender,
        name=f"{contender.name}-foreign",
        title=f"{contender.title}, other producers' form",
        source_form=SourceForm.FOREIGN,
    )
