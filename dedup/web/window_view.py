"""Builds what the API says of the window: the rules, and what is remembered of a row."""

from dedup.core.decide import Rules
from dedup.core.explain import instant
from dedup.core.explain_window import described, is_inside, remembered_of, seen_text
from dedup.core.state import State
from dedup.web.entity_models import models_of
from dedup.web.models import Duplicates, Remembered


def duplicates_are(rules: Rules) -> Duplicates:
    """Return what a duplicate is by these rules."""
    models = models_of(rules.codec.entity)
    window_us = rules.window_us
    return models.of(Duplicates)(
        strategy=rules.strategy,
        window_seconds=None if window_us is None else window_us / 1_000_000,
        window_kind=rules.window_kind,
        window_entries=rules.window_entries,
        why=described(rules, models.wording.words["name"]),
        may_lag=rules.strategy == "distinct",
    )


def remembered_now(state: State, rules: Rules, now_us: int) -> list[Remembered]:
    """Return what is remembered of a row, as of a time in microseconds; the newest first.

    With the strategy `latest` and no window that is the known state, which needs no words.
    """
    if rules.strategy == "latest" and rules.window_us is None:
        return []
    return [
        Remembered(
            digest=each.digest.hex(),
            of_row=each.is_row,
            seen_at=instant(each.seen_at),
            inside=is_inside(each, state, rules, now_us),
            text=seen_text(each, rules, now_us),
        )
        for each in remembered_of(state, rules, rules.codec)
    ]
