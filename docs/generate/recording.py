"""Records `make demo` in a terminal and writes it as an animated SVG: `make recording`.

Every line and time is the program's own, but for a long pause. Where nothing is animated, the
picture shows the end.
"""

import fcntl
import itertools
import os
import pty
import re
import struct
import sys
import termios
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

import pyte

COMMAND: Final = ("make", "demo")
COLUMNS: Final = 80
LINES: Final = 46
STEP_S: Final = 0.25
"""Times are rounded to it, so that a bar that moves does not fill the file."""
PAUSE_S: Final = 1.0
"""How long a pause in which nothing is printed lasts at most."""
LAST_S: Final = 12.0
"""How long the end is shown, before it begins again."""

CELL_WIDTH: Final = 8.4
CELL_HEIGHT: Final = 18
MARGIN: Final = 16
FONTS: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
COLOURS: Final = {
    "green": ("#116329", "#7ee787"),
    "red": ("#a40e26", "#ff7b72"),
    "5faf00": ("#2da44e", "#3fb950"),  # a bar that is full
    "ff005f": ("#bf3989", "#f778ba"),  # the part of a bar that is done
    "3a3a3a": ("#c8ccd1", "#484f58"),  # the rest of it
}
"""Colours on a light and on a dark background, by pyte's names; others are those of the text."""


class Run(NamedTuple):
    """Words of one line that look the same, with one blank between them."""

    column: int
    text: str
    style: str


Line = tuple[Run, ...]


def record(command: tuple[str, ...]) -> Iterator[tuple[float, bytes]]:
    """Run a command in a terminal; yield what it prints with the seconds since its start."""
    shown = 0.0
    last = time.monotonic()
    process, terminal = pty.fork()
    if process == 0:
        environ = os.environ | {"TERM": "xterm-256color", "COLORTERM": "", "MAKELEVEL": "0"}
        os.execvpe(command[0], command, environ)  # noqa: S606 - the command is ours
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    while True:
        try:
            output = os.read(terminal, 65536)
        except OSError:  # Linux says so when the program has ended
            break
        if not output:
            break
        now = time.monotonic()
        shown += min(now - last, PAUSE_S)
        last = now
        yield shown, output
    _, status = os.waitpid(process, 0)
    if code := os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(command)} exited with {code}: nothing is recorded.")


def line_of(row: dict[int, pyte.screens.Char]) -> Line:
    """Return a line of the screen as runs, without the blanks at its end."""
    cells = [(row[column].data, _style(row[column])) for column in range(COLUMNS)]
    while cells and cells[-1][0] == " ":
        cells.pop()
    runs: list[Run] = []
    column = 0
    for style, group in itertools.groupby(cells, key=lambda cell: cell[1]):
        text = "".join(data for data, _ in group)
        words = re.finditer(r"\S+(?: \S+)*", text)
        runs += [Run(column + found.start(), found[0], style) for found in words]
        column += len(text)
    return tuple(runs)


def _style(cell: pyte.screens.Char) -> str:
    classes = [f"c-{cell.fg}"] if cell.fg in COLOURS else []
    return " ".join([*classes, "bold"] if cell.bold else classes)


def replay(recorded: Iterator[tuple[float, bytes]]) -> Iterator[tuple[int, list[Line]]]:
    """Yield the screen at each step at which it has changed, the command above it."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    prompt: Line = (Run(0, f"$ {' '.join(COMMAND)}", "bold"),)
    blank: list[Line] = [()] * (LINES - 1)
    yield 0, [prompt, *blank]
    steps = itertools.groupby(recorded, key=lambda each: round(each[0] / STEP_S))
    for step, outputs in steps:
        for _, output in outputs:
            stream.feed(output)
        lines = [line_of(screen.buffer[number]) for number in range(LINES - 1)]
        yield step, [prompt, *lines]


def spans(screens: list[tuple[int, list[Line]]]) -> dict[tuple[int, int], list[tuple[int, Line]]]:
    """Return what each line shows, by the steps from and to which it does; -1 is the end."""
    found: dict[tuple[int, int], list[tuple[int, Line]]] = {}
    for number in range(LINES):
        shown = [(step, lines[number]) for step, lines in screens]
        groups = [list(group) for _, group in itertools.groupby(shown, key=lambda each: each[1])]
        begins = [group[0] for group in groups]
        for (step, line), until in zip(begins, [*(b[0] for b in begins[1:]), -1], strict=True):
            if line:
                found.setdefault((step, until), []).append((number, line))
    return found


def svg(screens: list[tuple[int, list[Line]]]) -> str:
    """Write the animated picture."""
    total = screens[-1][0] + round(LAST_S / STEP_S)
    rows = max(number for lines in spans(screens).values() for number, _ in lines) + 1
    width, height = round(COLUMNS * CELL_WIDTH + 2 * MARGIN), rows * CELL_HEIGHT + 2 * MARGIN
    size = f'width="{width}" height="{height}"'
    keyframes, groups = [], []
    for index, ((begin, until), lines) in enumerate(sorted(spans(screens).items())):
        end = "100%{visibility:visible}" if until < 0 else _at(until / total, "hidden")
        first = "" if begin == 0 else "0%{visibility:hidden}"
        keyframes.append(f"@keyframes k{index}{{{first}{_at(begin / total, 'visible')}{end}}}")
        kind = "end" if until < 0 else "past"
        text = "".join(_text(number, run) for number, line in lines for run in line)
        groups.append(f'<g class="{kind}" style="animation-name:k{index}">{text}</g>')
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}">',
            f"<title>A recording of {' '.join(COMMAND)}</title>",
            f"<style>{_style_sheet(total * STEP_S)}",
            *keyframes,
            "</style>",
            f'<rect class="terminal" {size} rx="8"/>',
            *groups,
            "</svg>\n",
        ]
    )


def _at(share: float, visibility: str) -> str:
    return f"{share * 100:.2f}%{{visibility:{visibility}}}"


def _text(number: int, run: Run) -> str:
    x, y = MARGIN + run.column * CELL_WIDTH, MARGIN + (number + 0.75) * CELL_HEIGHT
    style = f' class="{run.style}"' if run.style else ""
    length = len(run.text) * CELL_WIDTH  # whatever the reader's font, columns stay columns
    text = escape(run.text, quote=False)
    return f'<text x="{x:.1f}" y="{y:.1f}" textLength="{length:.1f}"{style}>{text}</text>'


def _style_sheet(seconds: float) -> str:
    light, dark = (
        "".join(f".c-{name}{{fill:{pair[shade]}}}" for name, pair in COLOURS.items())
        for shade in (0, 1)
    )
    return "\n".join(
        [
            f"text{{font:14px {FONTS};fill:#1f2328}}",
            ".bold{font-weight:bold}.terminal{fill:#f6f8fa}",
            light,
            f"g{{animation:{seconds:g}s step-end infinite}}.past{{visibility:hidden}}",
            "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.terminal{fill:#161b22}",
            f"{dark}}}",
            "@media(prefers-reduced-motion:reduce){g{animation:none}}",
        ]
    )


def main() -> None:
    """Record the command into the file that the command line names."""
    Path(sys.argv[1]).write_text(svg(list(replay(record(COMMAND)))), "utf-8")


if __name__ == "__main__":
    main()
