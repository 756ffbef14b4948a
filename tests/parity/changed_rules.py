"""Rules of the SQL, each with a change that the parity suite must notice."""

from typing import Final

from deploy.flink.statements import SQL

CHANGED_RULES: Final = {
    "late events judged as others": ("WHEN late THEN 'stale'", "WHEN FALSE THEN 'stale'"),
    "ties taken for late": ("event_timestamp < MAX(", "event_timestamp <= MAX("),
    "late events among the known states": ("product_id, late ORDER", "product_id ORDER"),
    "the stock no content": ("stock_quantity, CAST(discount", "CAST(discount"),
    "prices rounded": ("price = given_price AND price >= 0", "price >= 0"),
    "deletes taken for updates": ("CASE WHEN `action` <> 'deleted' THEN", "CASE WHEN TRUE THEN"),
}  # fmt: skip
"""What is changed: the text in the file, and what takes its place."""


def changed_sql(name: str) -> str:
    """Return the SQL with one rule changed."""
    sql = SQL.read_text("utf-8")
    before, after = CHANGED_RULES[name]
    if sql.count(before) != 1:
        raise AssertionError(f"{before!r} is {sql.count(before)} times in the SQL")
    return sql.replace(before, after)
