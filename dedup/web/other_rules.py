"""Another strategy and window than the worker's own, to check an event by."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from dedup.core.decide import Rules
from dedup.core.errors import SettingsError
from dedup.core.explain import span
from dedup.rules import rules_of, with_window
from dedup.settings import Settings

PARAMETERS: Final = {
    "window_kind": "DEDUP_WINDOW_KIND",
    "window": "DEDUP_WINDOW",
    "strategy": "DEDUP_STRATEGY",
}
"""The parameters of a request, and the settings that they stand for."""


class RulesError(ValueError):
    """Parameters that are not accepted; the text says what is."""


def given_rules(parameters: Mapping[str, object]) -> dict[str, str]:
    """Return those of the parameters that say by what rules to check, without empty ones."""
    texts = {name: str(parameters.get(name, "")).strip() for name in PARAMETERS}
    return {name: text for name, text in texts.items() if text}


def rules_as_given(own: Rules, settings: Settings, given: Mapping[str, str]) -> Rules:
    """Return the worker's own rules with the strategy and the window that are given.

    Without a strategy, or with the worker's own, what is not given is the worker's own. Raises
    RulesError.
    """
    if not given:
        return own
    chosen: dict[str, str] = {"DEDUP_STRATEGY": own.strategy}
    if given.get("strategy") in (None, own.strategy):
        chosen["DEDUP_WINDOW_KIND"] = own.window_kind
        if settings.window_s is not None:
            chosen["DEDUP_WINDOW"] = str(settings.window_s)
    chosen |= {PARAMETERS[name]: value for name, value in given.items()}
    try:
        found = rules_of(with_window(settings, chosen))
    except SettingsError as error:
        text = "; ".join(str(error).splitlines())
        for name, setting in PARAMETERS.items():
            text = text.replace(setting, name)
        raise RulesError(f"{text}.") from None
    return replace(
        own, strategy=found.strategy, window_us=found.window_us, window_kind=found.window_kind
    )


def what_is_known(own: Rules, rules: Rules) -> str:
    """Return what rules can't know of earlier events, for they are not the worker's own."""
    if rules.strategy != own.strategy:
        return (
            f" The worker's own strategy is {own.strategy}, so all that {rules.strategy} knows of "
            "earlier events is the last row."
        )
    if rules.strategy != "latest" and (rules.window_us, rules.window_kind) != (
        own.window_us,
        own.window_kind,
    ):
        return f" What is remembered is that of the worker's own window, {window_text(own)}."
    return ""


def window_text(rules: Rules) -> str:
    """Return the window of rules as text: `10 min, sliding`."""
    return span(rules.window_us) + (", sliding" if rules.window_kind == "sliding" else "")


def own_text(rules: Rules) -> str:
    """Return strategy and window of the worker as text."""
    if rules.window_us is None:
        return rules.strategy
    return f"{rules.strategy}, {window_text(rules)}"
