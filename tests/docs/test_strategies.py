"""The pictures of docs/strategies.md: what they show is what the worker's rules say."""

from pathlib import Path
from typing import get_args

import pytest

from dedup.core.window import Strategy
from docs.generate.strategies import STORY, WINDOW_MIN, picture, told
from tests.support.strategies import Event, Model

IMAGES = Path(__file__).parents[2] / "docs" / "images"


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_the_picture_is_that_of_today_s_rules(strategy: Strategy) -> None:
    written = IMAGES / f"strategy-{strategy.replace('_', '-')}.svg"
    assert written.read_text() == picture(strategy), "run `make docs`"


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_the_story_goes_as_the_model_says(strategy: Strategy) -> None:
    window = float("inf") if strategy == "latest" else WINDOW_MIN
    model = Model(strategy, window)
    for _, minute, content, event_id in STORY:
        model.take(Event(content, minute, event_id))
    outcomes = told(strategy)
    emitted = [
        content
        for (_, _, content, _), outcome in zip(STORY, outcomes, strict=True)
        if outcome in ("change", "refresh")
    ]
    assert emitted == model.emitted
