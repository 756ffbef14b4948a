"""Rules of the SQL, each with a change that the parity suite must notice."""

from collections.abc import Mapping
from typing import Final

from tests.parity.strategies import DISTINCT, EVENT_ID, Chosen

Rules = Mapping[str, tuple[str, str]]
"""What is changed: the text in the script, and what takes its place."""

PRODUCT_RULES: Final[Rules] = {
    "late events judged as others": ("WHEN late THEN 'stale'", "WHEN FALSE THEN 'stale'"),
    "ties taken for late": ("`event_timestamp` < MAX(", "`event_timestamp` <= MAX("),
    "late events among the known states": ("`product_id`, late ORDER", "`product_id` ORDER"),
    "the stock no content": ("`stock_quantity`, CAST(`discount`", "CAST(`discount`"),
    "prices rounded": (
        "`price` = TRY_CAST(`price_text` AS DECIMAL(38, 18)) AND `price` >= 0",
        "`price` >= 0",
    ),
    "deletes taken for updates": (
        "CASE WHEN `action` NOT IN ('deleted') THEN",
        "CASE WHEN TRUE THEN",
    ),
}

ORDER_RULES: Final[Rules] = {
    "ties taken for late": ("`event_timestamp` < MAX(", "`event_timestamp` <= MAX("),
    "the JSON field no content": ("`details`, `lines`\n        NULL", "`lines`\n        NULL"),
    "any status": ("`status` IN ('open', 'paid', 'it''s sent')", "TRUE"),
    "totals rounded": ("`total` = TRY_CAST(`total_text` AS DECIMAL(38, 18))", "TRUE"),
    "dates of any form": ("CAST(`ordered_on` AS STRING) = `ordered_on_text`", "TRUE"),
}


_SLIDING: Final[Rules] = {
    "the end inside the window": (
        "`event_timestamp` >= last_seen +",
        "`event_timestamp` > last_seen +",
    ),
}

STRATEGY_RULES: Final[Mapping[Chosen, Rules]] = {
    Chosen("latest", "sliding"): {
        "the end inside the window": (
            "`event_timestamp` < last_seen +",
            "`event_timestamp` <= last_seen +",
        ),
    },
    DISTINCT: {
        "the window begun again by repeats": ("PATTERN (A B* C)", "PATTERN (A C)"),
        "the end inside the window": (
            "OR C.`event_timestamp` >= A.",
            "OR C.`event_timestamp` > A.",
        ),
        "contents that outlive a delete": (
            "SUM(CASE WHEN content IS NULL THEN 1 ELSE 0 END) OVER",
            "SUM(0) OVER",
        ),
    },
    Chosen("distinct", "sliding"): _SLIDING,
    EVENT_ID: {
        "late events judged as others": ("WHERE NOT late;", "WHERE TRUE;"),
        "a delete of nothing emitted": (
            "WHEN content IS NULL AND known_content IS NULL THEN",
            "WHEN FALSE THEN",
        ),
    },
    Chosen("event_id", "sliding"): _SLIDING,
}


def changed_sql(sql: str, rules: Rules, name: str) -> str:
    """Return the SQL with one rule changed."""
    before, after = rules[name]
    if sql.count(before) != 1:
        raise AssertionError(f"{before!r} is {sql.count(before)} times in the SQL")
    return sql.replace(before, after)
