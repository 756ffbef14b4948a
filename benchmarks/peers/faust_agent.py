"""The job as a Faust user writes it: an agent, event by event, a Table, and `topic.send`.

The table is on RocksDB with a changelog topic of its own, as Faust makes them. The producer lingers
for 50 ms, so that it fills batches.
"""

from typing import Any

import faust

from benchmarks.peers import environment
from benchmarks.peers.job import decide, now_text, output_key

app = faust.App(
    environment.GROUP,
    broker=f"kafka://{environment.SERVERS}",
    datadir=environment.DIRECTORY,
    store="rocksdb://?driver=rocksdict",
    topic_partitions=4,
    topic_disable_leader=True,
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    producer_linger=0.05,
    producer_max_batch_size=512 * 1024,
)
source = app.topic(environment.SOURCE, key_type=bytes, value_serializer="json")
output = app.topic(environment.OUTPUT, key_serializer="raw", value_serializer="json")
states = app.Table("states", key_type=str, value_type=str)


@app.agent(source)
async def deduplicate(events: faust.StreamT[Any]) -> None:
    """Emit what changed."""
    async for event in events:
        product_id = event["product"]["product_id"]
        key = str(product_id)
        decision = decide(event, states.get(key), now_text())
        if decision is not None:
            states[key] = decision.state
            if decision.emit:
                await output.send(key=output_key(product_id), value=decision.row)


if __name__ == "__main__":
    app.main()
