"""Shows the progress of the demo on stderr, and measures its phases."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

_NAME_WIDTH: Final = 15
_BAR_WIDTH: Final = 24


class _Seconds(ProgressColumn):
    """The time of a phase so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.elapsed or 0.0:5.1f} s")


class Phase:
    """A running phase; `show` updates its progress."""

    def __init__(self, total: int, progress: Progress | None, name: str) -> None:
        self.note = ""
        self._progress = progress
        if progress is not None:
            self._task = progress.add_task(name, total=total, note="")

    def show(self, completed: int, note: str) -> None:
        """Move the bar, and show the note beside it."""
        self.note = note
        if self._progress is not None:
            self._progress.update(self._task, completed=completed, note=note)


class Phases:
    """A bar for each phase; without a terminal, a line at its start and one at its end."""

    def __init__(self, console: Console) -> None:
        self.seconds: dict[str, float] = {}
        self._console = console
        self._animated = console.is_terminal and not console.is_dumb_terminal

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Phase]:
        """Show a phase while the block runs, and store its time unless it fails."""
        start = time.perf_counter()
        if self._animated:
            with self._bar() as progress:
                yield Phase(total, progress, name)
        else:
            self._console.print(f"{name} ...", highlight=False)
            phase = Phase(total, None, name)
            yield phase
        self.seconds[name] = seconds = time.perf_counter() - start
        if not self._animated:
            self._console.print(f"{name}: {phase.note}, {seconds:.1f} s", highlight=False)

    def _bar(self) -> Progress:
        return Progress(
            TextColumn(f"{{task.description:<{_NAME_WIDTH}}}", markup=False),
            BarColumn(_BAR_WIDTH),
            _Seconds(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
        )
