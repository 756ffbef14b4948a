"""The consumer that docs/consumers.md shows does what it says."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.rows import RandomTopic, make_topic, write

PAGE = Path(__file__).parents[2] / "docs" / "consumers.md"


def stocks(products: dict[int, dict[str, Any]]) -> dict[int, Any]:
    """The stock of each product, which is the version of its row."""
    return {product_id: row["stock_quantity"] for product_id, row in products.items()}


async def test_the_shown_consumer_keeps_the_table(
    kafka: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    topic, history = await make_topic(kafka), RandomTopic(12)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("KAFKA_SRC_PRODUCTS_TOPIC", topic)
    shown: dict[str, Any] = {"__name__": "shown"}
    exec(compile(code, PAGE, "exec"), shown)  # noqa: S102 - it is our own page
    products: dict[int, dict[str, Any]] = {}
    following = asyncio.ensure_future(shown["follow"](products))
    for _ in range(2):
        await write(kafka, topic, history.records(600))
        while stocks(products) != {i: row[3] for i, row in history.table.items()}:
            assert not following.done(), following.exception()
            await asyncio.sleep(0.05)
    printed = ""
    while not printed.endswith(f"{len(history.table)} products\n"):
        assert not following.done(), following.exception()
        await asyncio.sleep(0.05)
        printed += capsys.readouterr().out
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
