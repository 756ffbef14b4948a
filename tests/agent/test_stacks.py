"""A dump shows where tasks and threads are, by function, file and line, and nothing they hold."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType

import pytest

from dedup.observability.stacks import DEEPEST, LONGEST_CHARS, dump

SECRET = "hunter2-hunter2"  # noqa: S105 - what must not be seen
HERE = "tests/agent/test_stacks.py"


async def wait_for_ever(password: str) -> None:
    held = {"password": password}
    await asyncio.Event().wait()
    del held


async def nest(password: str) -> None:
    await wait_for_ever(password)


async def numbers(password: str) -> AsyncIterator[int]:
    yield 1
    await wait_for_ever(password)
    yield 2


async def read_numbers(password: str) -> None:
    async for _ in numbers(password):
        pass


def line_of(function: Callable[..., object], text: str) -> str:
    """Where in a function some text stands, as a dump has it."""
    inner = inspect.unwrap(function)
    assert isinstance(inner, FunctionType)
    first = inner.__code__.co_firstlineno
    lines = Path(__file__).read_text("utf-8").splitlines()
    number = next(n for n in range(first, len(lines)) if text in lines[n - 1])
    return f"{HERE}:{number} {inner.__qualname__}"


def block_of(text: str, name: str) -> list[str]:
    """Return the lines of a dump for one task or thread."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.strip() == name)
    end = next(
        (n for n in range(start + 1, len(lines)) if not lines[n].startswith("    ")), len(lines)
    )
    return [line.strip() for line in lines[start + 1 : end]]


async def started(*tasks: asyncio.Task[None]) -> None:
    """Let tasks run until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_stuck_task_is_shown_down_to_where_it_waits() -> None:
    """`Task.get_stack` shows the outermost call only."""
    task = asyncio.create_task(nest(SECRET), name="stuck")
    await started(task)
    text = dump([asyncio.get_running_loop()])
    await ended(task)

    block = block_of(text, "stuck")
    assert block[:2] == [
        line_of(nest, "await wait_for_ever"),
        line_of(wait_for_ever, "await asyncio.Event"),
    ]
    assert block[2].startswith("asyncio/locks.py:")
    assert block[2].endswith(" Event.wait")
    assert block[3] == "waits for Future"
    assert len(block) == 4


async def test_a_task_in_an_async_generator_is_shown_down_to_where_that_waits() -> None:
    """As an agent is, which reads its batches by `async for`."""
    task = asyncio.create_task(read_numbers(SECRET), name="reading")
    await started(task)
    text = dump([asyncio.get_running_loop()])
    await ended(task)

    assert block_of(text, "reading")[:3] == [
        line_of(read_numbers, "async for"),
        line_of(numbers, "await wait_for_ever"),
        line_of(wait_for_ever, "await asyncio.Event"),
    ]


async def test_a_task_that_waits_for_another_names_it() -> None:
    inner = asyncio.create_task(wait_for_ever(SECRET), name="inner")

    async def wait_for_inner() -> None:
        await inner

    outer = asyncio.create_task(wait_for_inner(), name="outer")
    await started(inner, outer)
    text = dump([asyncio.get_running_loop()])
    await ended(outer, inner)

    assert block_of(text, "outer")[-1] == "waits for Task inner"


@contextmanager
def stuck_thread(name: str) -> Iterator[None]:
    """A thread that hangs in a function."""
    hangs, released = threading.Event(), threading.Event()

    def hang(password: str) -> None:
        held = [password]
        hangs.set()
        released.wait()
        del held

    thread = threading.Thread(target=hang, args=(SECRET,), name=name, daemon=True)
    thread.start()
    assert hangs.wait(20)
    yield
    released.set()
    thread.join()


def test_a_stuck_thread_is_shown_down_to_where_it_waits() -> None:
    with stuck_thread("fetching"):
        text = dump([])

    calls = [line.split(" ")[-1] for line in block_of(text, "fetching")]
    assert calls[0] == "Thread._bootstrap"
    (at,) = [n for n, call in enumerate(calls) if call == "stuck_thread.<locals>.hang"]
    assert calls[at + 1] == "Event.wait"
    number = line_of(stuck_thread, "released.wait()").split(" ")[0]
    assert block_of(text, "fetching")[at] == f"{number} stuck_thread.<locals>.hang"


def test_the_tasks_of_a_loop_in_another_thread_are_shown_with_its_name() -> None:
    """Also while that loop is blocked: nothing has to run in it."""
    loop = asyncio.new_event_loop()
    hangs, released = threading.Event(), threading.Event()

    def block() -> None:
        hangs.set()
        released.wait()

    def run() -> None:
        task = loop.create_task(nest(SECRET), name="elsewhere")
        loop.call_later(0.01, block)
        loop.call_later(0.02, task.cancel)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=run, name="consumer thread", daemon=True)
    thread.start()
    assert hangs.wait(20)
    text = dump([loop])
    released.set()
    thread.join()

    assert "\nTasks of consumer thread: 1\n" in text
    assert line_of(wait_for_ever, "await asyncio.Event") in block_of(text, "elsewhere")
    assert any(line.endswith(".block") for line in block_of(text, "consumer thread"))


async def test_a_dump_holds_no_value() -> None:
    """Neither of variables and arguments, nor of results and errors of what is waited for."""
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failed.set_exception(ValueError(SECRET))
    given: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def wait_for_given() -> None:
        await given

    tasks = [asyncio.create_task(nest(SECRET)), asyncio.create_task(read_numbers(SECRET))]
    waiting = asyncio.create_task(wait_for_given(), name="waiting")
    await started(*tasks, waiting)
    given.set_result(SECRET)
    with stuck_thread("stuck"):
        text = dump([asyncio.get_running_loop()])
    assert isinstance(failed.exception(), ValueError)
    await ended(*tasks)
    await waiting

    assert "wait_for_given" in text
    assert "waits for Future that is done" in block_of(text, "waiting")
    assert SECRET not in text


async def test_tasks_in_one_place_are_one_block() -> None:
    tasks = [asyncio.create_task(nest(SECRET), name=f"same-{n:04}") for n in range(1_000)]
    await started(*tasks)
    text = dump([asyncio.get_running_loop()])
    await ended(*tasks)

    assert f"Tasks of MainThread: {len(tasks) + 1}" in text
    assert text.count(line_of(nest, "await")) == 1
    assert "same-0000, same-0001, same-0002, same-0003, same-0004, same-0005 and 994 more" in text


async def test_a_dump_is_bounded_and_says_what_is_left_out() -> None:
    """Tasks that are all in other places: each has called itself another number of times."""

    async def deepen(calls: int) -> None:
        await (deepen(calls - 1) if calls else asyncio.Event().wait())

    tasks = [asyncio.create_task(deepen(n), name="x" * 500 + f"\n{n}") for n in range(400)]
    await started(*tasks)
    text = dump([asyncio.get_running_loop()])
    await ended(*tasks)

    blocks = text.count("deepen\n")
    assert len(text) <= LONGEST_CHARS + 50
    assert len(text) > LONGEST_CHARS - 5_000
    assert blocks > 100
    assert text.rstrip().endswith(" more are left out.")
    assert text.splitlines()[0].startswith("Where all threads and tasks are, ")


async def test_of_a_deep_stack_both_ends_are_shown() -> None:
    async def deepen(calls: int) -> None:
        await (deepen(calls - 1) if calls else wait_for_ever(SECRET))

    task = asyncio.create_task(deepen(500), name="deep")
    await started(task)
    text = dump([asyncio.get_running_loop()])
    await ended(task)

    block = block_of(text, "deep")
    assert len(block) == DEEPEST + 1
    assert "... 474 calls ..." in block
    assert block[-1] == "waits for Future"
    assert block[0].endswith("deepen")


async def test_a_task_named_by_its_coroutine_has_the_name_without_the_address() -> None:
    """As Faust names the tasks of services; two dumps can be compared then."""
    coroutine = nest(SECRET)
    task = asyncio.create_task(coroutine, name=repr(coroutine))
    await started(task)
    text = dump([asyncio.get_running_loop()])
    await ended(task)

    assert block_of(text, "nest")[0] == line_of(nest, "await wait_for_ever")
    assert "0x" not in text


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb"])
async def test_a_name_stays_on_its_line(name: str) -> None:
    task = asyncio.create_task(nest(SECRET), name=name)
    await started(task)
    text = dump([asyncio.get_running_loop()])
    await ended(task)

    assert name not in text
    assert f"\n  {name.replace(name[1], '?')}\n" in text
