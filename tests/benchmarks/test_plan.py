"""What a command line measures."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.__main__ import arguments_of
from benchmarks.clock import Figures
from benchmarks.contender import Run
from benchmarks.contenders import CONTENDERS
from benchmarks.plan import COMPARED, INPUTS, QUICK, README, Input
from benchmarks.rounds import Outcome
from benchmarks.throughput import Measured
from dedup.settings import load_settings

NAMES = [each.name for each in CONTENDERS]


def planned(*words: str) -> list[Input]:
    """The inputs of a command line."""
    inputs: list[Input] = arguments_of(words).planned
    return inputs


def test_every_contender_that_is_named_exists() -> None:
    assert set(COMPARED) <= set(NAMES)
    assert set(QUICK) <= set(COMPARED)
    assert set(README) <= set(COMPARED)


def test_a_strategy_is_told_to_the_worker_that_its_oracle_judges() -> None:
    run = Run("localhost:1", "source", "output", "dlq", "group", Path("/nowhere"), None)
    for name, strategy in (("ours-distinct", "distinct"), ("ours-event-id", "event_id")):
        (contender,) = [each for each in CONTENDERS if each.name == name]
        (command,) = contender.commands(run)
        assert command.environ["DEDUP_STRATEGY"] == strategy == contender.choice.strategy
        assert load_settings(dict(command.environ)).window_s == contender.choice.window_s


def test_all_inputs_are_measured_unless_some_are_chosen() -> None:
    assert planned() == list(INPUTS.values())
    assert [each.name for each in planned("--inputs", "zipf", "new")] == ["zipf", "new"]
    assert arguments_of([]).rounds == 5


def test_the_usual_input_has_everyone_and_the_others_those_that_are_compared() -> None:
    usual, *others = planned()
    assert [each.name for each in usual.chosen()] == NAMES
    for each in others:
        assert {contender.name for contender in each.chosen()} == set(COMPARED)


def test_the_quick_form_has_one_input_and_three_rounds() -> None:
    (quick,) = planned("--quick")
    assert {each.name for each in quick.chosen()} == set(QUICK)
    assert quick.mix == INPUTS["usual"].mix
    assert arguments_of(["--quick"]).rounds == 3


def test_a_mix_of_ones_own_is_one_input() -> None:
    (own,) = planned("--zipf", "0.8", "--events", "1000", "--contenders", "quix")
    assert (own.events, own.mix.zipf, own.mix.duplicates) == (1000, 0.8, 0.3)
    assert [each.name for each in own.chosen()] == ["quix-at-least-once", "quix-exactly-once"]


def test_an_input_is_finished_when_every_contender_had_its_rounds_or_could_not_run() -> None:
    (own,) = planned("--zipf", "1", "--contenders", "quix")
    measured = Measured("name", own, rounds=1, seed=1)
    assert not measured.is_finished()
    figures = Figures(1, 1, 1.0, 1.0, 1.0, 1, 1.0, 1)
    measured.outcomes = [Outcome("quix-at-least-once", "", "", rounds=[figures])]
    assert not measured.is_finished()
    measured.outcomes += [Outcome("quix-exactly-once", "", "", could_not_run="not there")]
    assert measured.is_finished()
    assert not replace(measured, rounds=2).is_finished()


def test_one_name_is_not_for_several_results(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        planned("--name", "mine")
    assert "choose one by --inputs" in capsys.readouterr().err
