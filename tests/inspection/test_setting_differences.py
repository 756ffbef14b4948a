"""What the commands say where the settings are not those that the newest record was made with."""

import asyncio
from typing import Any

import pytest

from dedup.inspection.recorded_output import setting_differences
from dedup.inspection.states import StatesInMemory, read_states
from dedup.rules import rules_of
from dedup.settings import load_settings
from tests.support.products import CODEC
from tests.support.records import event
from tests.support.worked_topics import Reader, WorkedTopics

SLIDING = {
    "DEDUP_STRATEGY": "distinct",
    "DEDUP_WINDOW": "10m",
    "DEDUP_WINDOW_KIND": "sliding",
    "DEDUP_WINDOW_ENTRIES": "8",
}


def differences(here: dict[str, str], made_with: dict[str, str]) -> list[str]:
    """Return the names of the settings that are said to differ."""
    topics = WorkedTopics(rules_of(load_settings(made_with)))
    topics.take((1, event()))
    reader: Any = Reader(topics.output)

    async def newest() -> list[Any]:
        reads = read_states(reader, StatesInMemory(), CODEC)
        return [record async for records in reads for record in records]

    settings = load_settings(here)
    said = setting_differences(settings, rules_of(settings), asyncio.run(newest()))
    return [text.split(" ")[0] for text in said]


@pytest.mark.parametrize(
    ("here", "made_with", "named"),
    [
        ({}, {}, []),
        (SLIDING, SLIDING, []),
        ({}, SLIDING, list(SLIDING)),
        (SLIDING, {}, list(SLIDING)),
        ({}, {"DEDUP_REFRESH_AFTER": "10m"}, ["DEDUP_REFRESH_AFTER"]),
        ({"DEDUP_WINDOW": "10m"}, {"DEDUP_REFRESH_AFTER": "10m"}, []),
        (SLIDING, SLIDING | {"DEDUP_WINDOW": "5m"}, ["DEDUP_WINDOW"]),
        (SLIDING, SLIDING | {"DEDUP_WINDOW_KIND": "fixed"}, ["DEDUP_WINDOW_KIND"]),
        (SLIDING, SLIDING | {"DEDUP_WINDOW_ENTRIES": "9"}, ["DEDUP_WINDOW_ENTRIES"]),
        (SLIDING, SLIDING | {"DEDUP_STRATEGY": "event_id"}, ["DEDUP_STRATEGY"]),
    ],
)
def test_each_setting_that_differs_is_named(
    here: dict[str, str], made_with: dict[str, str], named: list[str]
) -> None:
    assert differences(here, made_with) == named
