"""Types of settings: what a value may be, and the sentence when it is not."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from dedup.core.names import broker_list, group_name, topic_name

Brokers = Annotated[str, AfterValidator(broker_list)]
TopicName = Annotated[str, AfterValidator(topic_name)]
GroupName = Annotated[str, AfterValidator(group_name)]

_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([smhd]?)", re.ASCII)
_UNIT_S: Final = {"": 1, "s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None or float(found[1]) == 0:
        raise ValueError("expected a duration above 0 such as 90s, 10m, 24h or 7d; alone, seconds")
    return float(found[1]) * _UNIT_S[found[2]]


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
"""Seconds, read from a number of them or from a number with a unit: `90s`, `10m`, `24h`, `7d`."""
