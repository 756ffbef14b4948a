"""From events to the table: producer's events, a real worker, the sink; judged by the oracle."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path

from dedup.sink.consuming import run_sink
from producer.events import EventGenerator, Mix
from tests.sink.running import settings, table
from tests.support.postgres import PostgresServer
from tests.support.topics import judge, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess


async def test_the_table_has_the_content_the_oracle_knows(
    kafka: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    names = Names.fresh()
    mix = Mix(products=100, late=0.05, deletes=0.1, partial=0.05, invalid=0.05)
    events = islice(EventGenerator(3, lambda: datetime.now(UTC), mix), 3_000)
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, [(event.key, event.value) for event in events], names.source)
        await wait_until_done(kafka, names)
    await run_sink(settings(kafka, postgres, names.states), once=True)

    oracle = judge(await read_topic(kafka, names.source))
    known = {i: content for i, content in oracle._content.items() if content is not None}
    found = {
        product_id: {
            "product_name": name,
            "description": description,
            "price": price,
            "stock_quantity": stock,
            "discount": discount,
        }
        for product_id, (name, description, price, stock, discount, *_) in table(postgres).items()
    }
    assert len(found) > 50
    assert all(isinstance(product["price"], Decimal) for product in found.values())
    assert found == known
