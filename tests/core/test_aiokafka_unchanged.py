"""Importing our code changes nothing in aiokafka; `adjust_aiokafka` alone does, once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

LOOK: str = '''
import pkgutil, sys, types
from importlib import import_module

import aiokafka

for module in pkgutil.walk_packages(aiokafka.__path__, "aiokafka."):
    import_module(module.name)


def look():
    """The identity of every attribute of aiokafka's modules and classes, and of its error codes."""
    found = {}
    modules = {n: m for n, m in sys.modules.items() if n.partition(".")[0] == "aiokafka"}
    for name, module in modules.items():
        for attribute, value in vars(module).items():
            found[name, attribute] = id(value)
            if isinstance(value, type) and value.__module__.partition(".")[0] == "aiokafka":
                for member, held in vars(value).items():
                    # aiokafka's own abstract classes keep a cache that fills as they are used.
                    if not member.startswith("_abc"):
                        found[name, attribute, member] = id(held)
    from aiokafka.errors import kafka_errors
    return found | {("error", code): id(kind) for code, kind in kafka_errors.items()}


def changed(before, after):
    keys = before.keys() | after.keys()
    return sorted(str(key) for key in keys if before.get(key) != after.get(key))
'''


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LOOK + code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


def modules() -> list[str]:
    """Every module of ours but the one that is the worker's process: its import builds the app."""
    files = [*(ROOT / "dedup").rglob("*.py"), *(ROOT / "producer").rglob("*.py")]
    names = {".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files}
    return sorted(names - {"dedup.streaming.worker"})


def test_no_import_changes_aiokafka() -> None:
    names = modules()
    assert {"dedup.streaming.wiring", "dedup.kafka.client", "producer.kafka"} <= set(names)
    code = f"before = look()\nfor name in {names}:\n    import_module(name)\n"
    assert run(code + "print(changed(before, look()))").strip() == "[]"


def test_what_is_adjusted_is_adjusted_once() -> None:
    """A second call changes nothing; the first one changes what its docstring names."""
    code = (
        "from dedup.kafka.client import adjust_aiokafka\n"
        "before = look()\nadjust_aiokafka()\nadjusted = look()\nadjust_aiokafka()\n"
        "print(*changed(before, adjusted), sep='\\n')\nprint(changed(adjusted, look()))"
    )
    *adjusted, again = run(code).splitlines()
    assert again == "[]"
    named = (
        *("MemoryRecords", "PartitionRecords", "BACKOFF_OVERRIDE"),
        *(
            "_get_conn",
            "_metadata_update",
            "create_conn",
            "send",
            "_proc_offset_request",
            "close",
            "_handle_frame",
            "bootstrap",
        ),
    )
    expected = (*(f"'{name}'" for name in named), "('error', 81)", "('error', 82)", "('error', 87)")
    for each in expected:
        assert any(each in line for line in adjusted), each
    assert [line for line in adjusted if not any(each in line for each in expected)] == []
