"""Tells where all tasks and threads of this process are now, for whoever looks for a hang.

It says functions, files and lines, names of tasks and threads, and types of what is awaited. It
says no local variable, argument, result or text of an error: these may hold events or secrets.

Each thread has an event loop or none; a task belongs to one loop. A task that waits is shown as the
chain of what it awaits, down to where that waits, which `Task.get_stack` does not do.
"""

import asyncio
import gc
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, Final

LONGEST_CHARS: Final = 48_000
"""Of a whole dump: what is over is left out at its end, and counted."""

DEEPEST: Final = 30
"""Calls of one stack; of a deeper one the outermost and the innermost are shown."""

_OUTERMOST: Final = 8
_NAMES: Final = 6
"""Tasks or threads in the same place that are named; the others are counted."""

_LONGEST_NAME: Final = 60
_OURS: Final = "dedup/"
_COROUTINE: Final = re.compile(r"<coroutine object (\S+) at 0x[0-9a-f]+>")

_FRAMES: Final = ("cr_frame", "gi_frame", "ag_frame")
_AWAITED: Final = ("cr_await", "gi_yieldfrom", "ag_await")

Stack = tuple[str, ...]


def dump(loops: Iterable[asyncio.AbstractEventLoop]) -> str:
    """Return where the tasks of these loops and all threads are. Any thread may call it."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    blocks = list(_section("Threads", _thread_stacks(names)))
    for loop in loops:
        thread = names.get(getattr(loop, "_thread_id", None) or 0, "a loop that does not run")
        blocks += _section(f"Tasks of {_printable(thread)}", _task_stacks(loop))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return _bounded(
        [f"Where all threads and tasks are, {now}; the innermost call last.\n", *blocks]
    )


def _section(title: str, stacks: list[tuple[str, Stack]]) -> Iterator[str]:
    """Yield a title, and a block for all that are in the same place; our own code comes first."""
    together: dict[Stack, list[str]] = {}
    for name, stack in stacks:
        together.setdefault(stack, []).append(_printable(name))
    yield f"\n{title}: {len(stacks)}\n"
    is_foreign = {s: not any(line.startswith(_OURS) for line in s) for s in together}
    for stack in sorted(together, key=lambda s: (is_foreign[s], together[s])):
        named = sorted(together[stack])
        more = f" and {len(named) - _NAMES} more" if len(named) > _NAMES else ""
        yield "".join(
            [f"  {', '.join(named[:_NAMES])}{more}\n", *(f"    {line}\n" for line in stack)]
        )


def _bounded(blocks: list[str]) -> str:
    """Return as many whole blocks as may be, and how many are left out."""
    size = 0
    for number, block in enumerate(blocks):
        size += len(block)
        if size > LONGEST_CHARS:
            left = len(blocks) - number
            return "".join([*blocks[:number], f"\n{left} more are left out.\n"])
    return "".join(blocks)


def _thread_stacks(names: dict[int | None, str]) -> list[tuple[str, Stack]]:
    found = []
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - documented
        calls: list[str] = []
        at: FrameType | None = frame
        while at is not None:
            calls.append(_call(at.f_code, at.f_lineno))
            at = at.f_back
        found.append((names.get(ident, f"thread {ident}"), _shortened(calls[::-1])))
    return found


def _task_stacks(loop: asyncio.AbstractEventLoop) -> list[tuple[str, Stack]]:
    found = []
    for task in asyncio.all_tasks(loop):
        # Services of Faust name a task by the text of its coroutine; the address says nothing.
        named = _COROUTINE.fullmatch(task.get_name())
        found.append((named[1] if named else task.get_name(), _shortened([*_awaits(task)])))
    return found


def _awaits(task: asyncio.Task[Any]) -> Iterator[str]:
    """Yield the calls of a task, and what the innermost waits for."""
    at: Any = task.get_coro()
    seen = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        if asyncio.isfuture(at):
            yield _waits_for(at)
            return
        frame = _first(at, _FRAMES)
        if frame is None:
            at = _behind(at)
            continue
        yield _call(frame.f_code, frame.f_lineno)
        at = _first(at, _AWAITED)


def _behind(opaque: Any) -> Any:
    """Return what an iterator of Python's own stands for, such as a step of an async generator.

    It has no attribute for that, but refers to it.
    """
    for held in gc.get_referents(opaque):
        if asyncio.isfuture(held) or _first(held, _FRAMES) is not None:
            return held
    return None


def _first(of: Any, attributes: tuple[str, ...]) -> Any:
    """Return the first of these attributes that is there and not None."""
    # Of its type: an object of a program may answer to any name.
    for name in attributes:
        if hasattr(type(of), name) and (found := getattr(of, name)) is not None:
            return found
    return None


def _waits_for(future: asyncio.Future[Any]) -> str:
    kind = type(future).__name__
    if isinstance(future, asyncio.Task):
        return f"waits for {kind} {_printable(future.get_name())}"
    return f"waits for {kind}{' that is done' if future.done() else ''}"


def _call(code: CodeType, line: int | None) -> str:
    return f"{_short(code.co_filename)}:{line} {code.co_qualname}"


@lru_cache(maxsize=4_096)
def _short(file: str) -> str:
    """Return the name of a file below the directory that Python finds it by."""
    roots = [path.rstrip(os.sep) + os.sep for path in sys.path if path]
    root = max((path for path in roots if file.startswith(path)), key=len, default="")
    return file.removeprefix(root)


def _shortened(calls: list[str]) -> Stack:
    if len(calls) <= DEEPEST:
        return tuple(calls)
    left = len(calls) - DEEPEST
    inner = calls[_OUTERMOST + left :]
    return (*calls[:_OUTERMOST], f"... {left} calls ...", *inner)


def _printable(name: str) -> str:
    """Return a name on one line: whoever starts a task chooses it."""
    shown = "".join(c if c.isprintable() else "?" for c in name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[:_LONGEST_NAME]}..."
