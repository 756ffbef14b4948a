"""Random events -> an inferred entity -> its written module -> a codec that takes every event."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, get_args

import pytest

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter
from dedup.core.entity import Entity, Wrapped
from dedup.inference.events import SampledRecord
from dedup.inference.infer import Inferred, infer
from dedup.inference.module import constant_name, module_source
from dedup.inspection.entity_file import load_entity, written
from tests.inference.random_events import Truth, random_truth

VALUES: Final = ('say "x"', "it's", "a, b]", "c" * 40, "d" * 39, "\\")
"""Of a choice."""

ROOT: Final = Path(__file__).parents[2]
SEEDS: Final = range(20)


def sampled(truth: Truth) -> list[SampledRecord]:
    return [SampledRecord(0, offset, *record) for offset, record in enumerate(truth.records)]


def awkward() -> list[SampledRecord]:
    """Return events with fields that have the names of types: one hides it for those after it."""
    records = []
    for number in range(600):
        row = {
            "id": number % 9,
            "EpochMs": number % 5,
            "date": "2024-01-01",
            "datetime": None,
            "updated_at": 1_704_067_200_000 + number,
            "order_date": "2024-02-01",
            "status": VALUES[number % 6],
            "OrderStatus": 1.5 if number % 2 else None,
            "other_at": 1_704_067_200_000 + number,
        }
        if number % 7 == 0:
            del row["EpochMs"], row["date"], row["datetime"]
        record = SampledRecord(0, number, str(number % 9).encode(), json.dumps(row).encode())
        records.append(record)
    return records


@cache
def made(seed: int) -> tuple[Truth, Inferred, Entity]:
    """Return what the events are, what was inferred, and the entity of the written module."""
    truth = random_truth(seed)
    inferred = infer(sampled(truth))
    with TemporaryDirectory() as directory:
        path = Path(directory) / "written.py"
        path.write_text(module_source(inferred, "order", "orders"), "utf-8")
        return truth, inferred, load_entity(path, constant_name("order"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_written_module_takes_every_event_that_was_read(seed: int) -> None:
    truth, _, entity = made(seed)
    codec = Codec(entity)
    said = [codec.read(key, value) for key, value in truth.records]
    assert [letter for letter in said if isinstance(letter, DeadLetter)] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_inferred_is_what_the_events_were_made_of(seed: int) -> None:
    truth, inferred, entity = made(seed)
    assert type(entity.envelope).__name__ == truth.envelope
    assert entity.id == truth.row_id
    is_ambiguous = truth.key == "json" and truth.kinds[truth.row_id][0] == "integer"
    expected = {truth.key if truth.key == "text" else "json", *(["text"] if is_ambiguous else [])}
    assert entity.key_form in expected
    for name, (kind, mark) in truth.kinds.items():
        field = entity.field(name)
        assert field.kind.name == kind, name
        own = field.annotation.limits.mark
        assert (repr(own).replace('"', "'") if own else "") in {_repr(mark), ""}, name
        if mark and mark != "JsonText()":
            assert own is not None, name
        assert field.nullable == (name in truth.nullable), name
    if isinstance(entity.envelope, Wrapped):
        assert (entity.envelope.action, entity.envelope.event_id) == ("action", "event_id")
        assert entity.envelope.creates == ("created",)
    assert not any("left out" in doubt for doubt in inferred.doubts)


def _repr(mark: str) -> str:
    return mark.replace("Epoch('", "Epoch(unit='")


def test_the_written_modules_are_formatted_and_typed(tmp_path: Path) -> None:
    """By ruff with this project's rules, in either line length, and by mypy --strict."""
    for seed in SEEDS[:6]:
        _, inferred, _ = made(seed)
        (tmp_path / f"written_{seed}.py").write_text(
            module_source(inferred, "order", "orders"), "utf-8"
        )
    (tmp_path / "awkward.py").write_text(module_source(infer(awkward()), "order", "orders"))
    rules = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    ruff = [sys.executable, "-m", "ruff"]
    for command in (
        [*ruff, "check", *rules, "--ignore", "INP001", str(tmp_path)],
        [*ruff, "format", "--check", *rules, str(tmp_path)],
        [*ruff, "format", "--check", "--isolated", "--no-cache", str(tmp_path)],
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(tmp_path)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, (done.stdout, done.stderr)


def test_names_of_fields_and_values_of_choices_do_not_break_a_module(tmp_path: Path) -> None:
    records = awkward()
    module = written(infer(records), "order", "orders", records)
    assert module.refusals.taken == len(records)
    path = tmp_path / "orders.py"
    path.write_text(module.source, "utf-8")
    entity = load_entity(path, "ORDER")
    assert get_args(entity.field("status").annotation.type) == tuple(sorted(VALUES))
    kinds = {field.name: field.kind.name for field in entity.fields}
    assert (kinds["order_date"], kinds["other_at"], kinds["EpochMs"]) == ("date", "time", "integer")
