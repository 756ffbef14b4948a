"""An event is checked by another strategy and window than the worker's own."""

from urllib.parse import urlencode

import pytest

from dedup.rules import rules_of
from dedup.settings import load_settings
from dedup.web.other_rules import (
    RulesError,
    given_rules,
    own_text,
    rules_as_given,
    what_is_known,
)
from tests.support.records import event
from tests.web.conftest import LAMP_ID, Site, get, lamp_history

DISTINCT = {"DEDUP_STRATEGY": "distinct", "DEDUP_WINDOW": "10m", "DEDUP_WINDOW_KIND": "sliding"}

REPEATED_ID = event(LAMP_ID, number=9, price="99.00").replace(b"evt_9", b"evt_2")
"""Other content by the id of the event that wrote the lamp's row, 7 s later."""

REPEATED_CONTENT = lamp_history()[1].replace(b"evt_2", b"evt_9").replace(b":02+", b":09+")
"""The content of the lamp's row, 7 s later."""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("distinct", 600, "sliding")),
        ({"window": "1h"}, ("distinct", 3600, "sliding")),
        ({"strategy": "distinct"}, ("distinct", 600, "sliding")),
        ({"window_kind": "fixed"}, ("distinct", 600, "fixed")),
        ({"strategy": "latest"}, ("latest", None, "fixed")),
        ({"strategy": "event_id", "window": "5"}, ("event_id", 5, "fixed")),
    ],
)
def test_what_is_not_given_is_the_worker_s_own_but_not_the_window_of_another_strategy(
    given: dict[str, str], expected: tuple[str, float | None, str]
) -> None:
    settings = load_settings(DISTINCT)
    own = rules_of(settings)
    found = rules_as_given(own, settings, given)
    window_s = None if found.window_us is None else found.window_us / 1_000_000
    assert (found.strategy, window_s, found.window_kind) == expected
    assert found.codec is own.codec
    assert own_text(own) == "distinct, 10 min, sliding"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strategy": "newest"}, "strategy=newest is not accepted: input should be 'latest',"),
        ({"strategy": "event_id"}, "strategy=event_id needs window, such as window=24h."),
        ({"window": "soon"}, "window=soon is not accepted: expected a duration above 0"),
        ({"window_kind": "round"}, "window_kind=round is not accepted: input should be 'fixed' or"),
    ],
)
def test_what_is_not_accepted_is_named_as_it_was_given(given: dict[str, str], message: str) -> None:
    settings = load_settings(DISTINCT)
    with pytest.raises(RulesError) as error:
        rules_as_given(rules_of(settings), settings, given)
    assert message in str(error.value)
    assert "DEDUP" not in str(error.value)


def test_it_is_said_what_is_not_known_of_earlier_events() -> None:
    settings = load_settings(DISTINCT)
    own = rules_of(settings)

    def said(**given: str) -> str:
        return what_is_known(own, rules_as_given(own, settings, given_rules(given)))

    assert said() == said(window="10m", strategy="distinct") == ""
    assert said(strategy="latest").endswith(
        "so all that latest knows of earlier events is the last row."
    )
    assert said(window="1h") == (
        " What is remembered is that of the worker's own window, 10 min, sliding."
    )
    plain = load_settings({})
    assert (
        what_is_known(rules_of(plain), rules_as_given(rules_of(plain), plain, {"window": "1h"}))
        == ""
    )


@pytest.mark.parametrize(
    ("value", "parameters", "outcome"),
    [
        (REPEATED_ID, {}, "change"),
        (REPEATED_ID, {"strategy": "event_id", "window": "8"}, "duplicate"),
        (REPEATED_ID, {"strategy": "event_id", "window": "7"}, "change"),
        (REPEATED_CONTENT, {}, "duplicate"),
        (REPEATED_CONTENT, {"strategy": "distinct", "window": "8"}, "duplicate"),
        (REPEATED_CONTENT, {"strategy": "distinct", "window": "7"}, "refresh"),
        (REPEATED_CONTENT, {"window": "6", "window_kind": "sliding"}, "refresh"),
        (REPEATED_CONTENT, {"window": "7", "window_kind": "sliding"}, "duplicate"),
    ],
)
def test_either_worker_checks_an_event_by_the_rules_that_are_given(
    site: Site, value: bytes, parameters: dict[str, str], outcome: str
) -> None:
    answers = [get(f"{url}/api/check?{urlencode(parameters)}", value) for url in site.urls]
    assert answers[0] == answers[1]
    status, found = answers[0]
    assert (status, found["outcome"]) == (200, outcome)
    sentence = "The worker's own strategy is latest, so all that"
    assert (sentence in found["why"]) == ("strategy" in parameters)


def test_the_api_refuses_rules_that_are_none(site: Site) -> None:
    status, answer = get(f"{site.url}/api/check?strategy=distinct", REPEATED_ID)
    assert (status, answer["error"]) == (400, "strategy=distinct needs window, such as window=24h.")


def test_the_page_has_a_form_for_them_and_keeps_what_was_entered(site: Site) -> None:
    entered = {"event": REPEATED_ID.decode(), "strategy": "event_id", "window": "8"}
    status, page = get(f"{site.url}/check", urlencode(entered).encode())
    assert status == 200
    assert "all that event_id knows of earlier events is the last row." in page
    assert '<option value="event_id" selected>' in page
    assert 'name="window" value="8"' in page
    assert "default: the worker&#39;s own: latest" in page or "worker's own: latest" in page
    _, page = get(f"{site.url}/check", urlencode({**entered, "window": "soon"}).encode())
    assert "window=soon is not accepted" in page
    assert "evt_2" in page, "the event is still in the form"
