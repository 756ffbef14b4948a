"""What may import what: the core is pure, and imports point one way."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "dedup" / "core").glob("*.py"))
FILES = sorted([*(ROOT / "dedup").rglob("*.py"), *(ROOT / "producer").rglob("*.py")])
IMPURE = {
    *("faust", "mode", "aiokafka", "rocksdict", "asyncio", "logging", "random", "secrets"),
    *("os", "sys", "time", "socket", "threading", "subprocess", "uuid", "tempfile", "pathlib"),
}
CORE_MODULES = [f"dedup.core.{path.stem}" for path in CORE if path.stem != "__init__"]

LAYERS = [
    "dedup.core",
    "dedup.entities",
    "dedup.inference",
    "dedup.kafka.settings",
    "dedup.settings",
    "dedup.kafka",
    "dedup.rules",
    "dedup.state",
    "dedup.observability",
    "dedup.dlq",
    "dedup.inspection",
    "dedup.streaming",
    "dedup.sink",
    "dedup.web",
    "dedup.streaming.wiring",
    "dedup.streaming.worker",
    "dedup.localkafka",
    "dedup.demo.example",
    "producer",
    "dedup.terminal",
    "dedup.demo",
    "dedup.parity",
    "dedup.cli",
]
"""The rooms of design.md section 7, from below: each may import itself and those before it.

`dedup` itself has the version and the lazy app, and stands outside. Of the room `dedup.kafka` the
base of all settings is below these, and the rest above; what a demo is of stands below the
producer, which has the demo of products, and `dedup.demo` above; of `dedup.streaming` the two
modules that put a whole worker together are above the pages, which are a part of it.
"""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST) -> list[str]:
    """The full names of what is imported: `a.b.c` for `from a.b import c`."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def at_import(tree: ast.Module) -> list[str]:
    """What the import of a module imports: not what its functions or a type checker do."""
    kept = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    return imported(ast.Module(kept, []))


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def room(name: str) -> str:
    """The room of a module; its own name where no room has it."""
    return max((each for each in LAYERS if within(name, each)), key=len, default=name)


def rooms_imported(path: Path) -> set[str]:
    """The rooms that a module imports, wherever in it, but for its own."""
    targets = {room(name) for name in imported(TREES[path]) if within(name, "dedup", "producer")}
    return {name for name in targets if name in LAYERS} - {room(module_name(path))}


TREES = {path: ast.parse(path.read_text("utf-8")) for path in FILES}
ids = pytest.mark.parametrize("path", FILES, ids=module_name)


def loaded(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after a statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_the_core_loads_neither_kafka_nor_store_nor_loop() -> None:
    """Pydantic itself loads `random`, `socket` and `threading`: for those see the next test."""
    modules = loaded("import " + ", ".join(CORE_MODULES))
    assert set(CORE_MODULES) <= modules
    assert not modules & {"faust", "mode", "aiokafka", "rocksdict", "asyncio", "logging"}


@pytest.mark.parametrize("path", CORE, ids=module_name)
def test_no_module_of_the_core_asks_for_the_world_outside(path: Path) -> None:
    """No environment, clock, randomness, file, log or network, by name or by import."""
    tree = TREES[path]
    names = {name for name in imported(tree) if name != "uuid.UUID"}  # a type, nothing random
    assert not {name.partition(".")[0] for name in names} & IMPURE
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not attributes & {"now", "utcnow", "today", "environ", "getenv"}
    assert not used & {"open", "print", "input", "__import__", "eval", "exec"}


def test_the_package_alone_loads_next_to_nothing() -> None:
    modules = loaded("import dedup")
    assert "dedup" in modules
    assert not modules & {"faust", "aiokafka", "rocksdict", "asyncio", "pydantic"}
    assert not any(within(module, "dedup.streaming") for module in modules)


def test_every_module_is_in_a_room_with_a_layer() -> None:
    rooms = {room(module_name(path)) for path in FILES}
    assert rooms - {"dedup"} == set(LAYERS)


@ids
def test_imports_point_downwards(path: Path) -> None:
    name = module_name(path)
    if name == "dedup":
        return
    here = room(name)
    assert [each for each in rooms_imported(path) if LAYERS.index(each) > LAYERS.index(here)] == []
    assert not any(within(target, "dedup.app") for target in imported(TREES[path]))


def test_no_rooms_import_each_other() -> None:
    """TopologicalSorter raises CycleError, and names the circle. Also what a function imports."""
    graph: dict[str, set[str]] = {name: set() for name in LAYERS}
    for path in FILES:
        if (here := room(module_name(path))) in graph:
            graph[here] |= rooms_imported(path)
    assert set(TopologicalSorter(graph).static_order()) == set(LAYERS)


@ids
def test_consumers_are_made_in_one_place(path: Path) -> None:
    """So that all of them read committed records only, and records with any header key."""
    made = [
        node
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("AIOKafkaConsumer")
    ]
    assert not made or module_name(path) == "dedup.kafka.consumer"


@pytest.mark.parametrize("path", CORE, ids=module_name)
def test_the_core_imports_only_the_core(path: Path) -> None:
    ours = [name for name in imported(TREES[path]) if within(name, "dedup", "producer")]
    assert [name for name in ours if not within(name, "dedup.core")] == []


def test_an_entity_imports_only_the_core() -> None:
    paths = [path for path in FILES if within(module_name(path), "dedup.entities")]
    assert paths
    for path in paths:
        ours = [name for name in imported(TREES[path]) if within(name, "dedup", "producer")]
        assert [name for name in ours if not within(name, "dedup.core")] == []


@pytest.mark.parametrize(
    "path", [p for p in FILES if within(module_name(p), "producer")], ids=module_name
)
def test_the_producer_imports_only_the_core_kafka_and_how_clients_log(path: Path) -> None:
    shared = ["dedup.core", "dedup.kafka", "dedup.observability.logs"]
    if path.stem == "example":  # what it shows of its events in a demo
        shared += ["dedup.demo.example", "dedup.entities"]
    ours = [name for name in imported(TREES[path]) if within(name, "dedup")]
    assert [name for name in ours if not within(name, *shared)] == []


def test_the_producer_loads_neither_faust_nor_a_database() -> None:
    modules = loaded("import producer.__main__")
    assert "dedup.kafka.connecting" in modules
    assert not modules & {"faust", "mode", "rocksdict", "psycopg"}


def test_the_oracle_shares_nothing_with_what_it_judges() -> None:
    oracle = ROOT / "producer" / "oracle.py"
    assert [name for name in imported(TREES[oracle]) if within(name, "dedup", "producer")] == []


def test_no_module_imports_itself_by_a_detour() -> None:
    """TopologicalSorter raises CycleError, and names the circle."""
    modules = {module_name(path) for path in FILES}
    graph = {
        module_name(path): {
            module
            for target in at_import(tree)
            if (module := target if target in modules else target.rpartition(".")[0]) in modules
        }
        for path, tree in TREES.items()
    }
    assert set(TopologicalSorter(graph).static_order()) == modules


def test_there_is_no_module_named_as_the_lazy_app() -> None:
    """The import system would bind it over the name, and `faust -A dedup` would fail."""
    assert not (ROOT / "dedup" / "app.py").exists()
    assert not (ROOT / "dedup" / "app").exists()


COMMANDS_ORDER = ["core", "kafka", "dlq", "inspection", "terminal", "cli"]
"""The packages of the commands, from below: each imports itself and those before it."""


@ids
def test_the_packages_of_the_commands_import_downwards(path: Path) -> None:
    """Dead letters are read below `inspection`; what prints is above it."""
    parts = module_name(path).split(".")
    if len(parts) < 2 or parts[1] not in COMMANDS_ORDER:
        return
    above = COMMANDS_ORDER[COMMANDS_ORDER.index(parts[1]) + 1 :]
    packages = tuple(f"dedup.{name}" for name in above)
    assert not [target for target in imported(TREES[path]) if within(target, *packages)]
