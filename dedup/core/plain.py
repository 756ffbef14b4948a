"""The plain form: prices as text with two places, times in UTC - the normal form, in JSON.

What is in that form msgspec reads several times faster than pydantic validates it (ADR 11); the
functions here tell whether it is, where msgspec's own types and bounds do not.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from dedup.core.event import NormalProduct

is_plain_price: Final[Callable[[Any], Any]] = re.compile(
    r"(?:0|[1-9][0-9]{0,7})\.[0-9]{2}"
).fullmatch


def is_plain(product: NormalProduct) -> bool:
    """Whether what msgspec read of a product is in the plain form."""
    created_at, updated_at = product.created_at, product.updated_at
    return bool(
        (created_at is None or (type(created_at) is datetime and created_at.tzinfo is UTC))
        and (updated_at is None or (type(updated_at) is datetime and updated_at.tzinfo is UTC))
        and is_plain_price(product.price)
        and (product.discount == "0.00" or is_plain_price(product.discount))
    )
