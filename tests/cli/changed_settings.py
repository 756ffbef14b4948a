"""Workers whose settings change in mid-topic, over random events, and what they counted."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.cli.topics import Topics
from tests.support.administration import alter
from tests.support.topics import Records, produce, read_topic, wait_until_done
from tests.support.workers import WorkerProcess, wait_until_counted

SESSIONS: tuple[dict[str, str], ...] = (
    {},
    {
        "DEDUP_CONTENT_FIELDS": "price,discount",
        "DEDUP_ORDER": "arrival",
        "DEDUP_UNKNOWN_ACTION": "dead_letter",
    },
    {"DEDUP_REFRESH_AFTER": "0.001", "DEDUP_CONTENT_FIELDS": "stock_quantity"},
    {},
)
EACH = 300


def history(random: Random, session: int) -> list[tuple[bytes | None, bytes | None]]:
    """Events of all kinds; the first ones are of new products, so each partition has an emission.

    So the records around an event show which settings were used to decide on it.
    """
    found = [event(random, 1_000 + 40 * session + i, complete=True) for i in range(40)]
    return found + [event(random, random.randrange(1, 25)) for _ in range(EACH)]


def event(
    random: Random, product_id: int, *, complete: bool = False
) -> tuple[bytes | None, bytes | None]:
    key = b"%d" % product_id
    if not complete and random.random() < 0.03:
        return key, random.choice([None, b"no json"])
    product: dict[str, Any] = {
        "product_id": product_id,
        "product_name": "Lamp",
        "price": f"{random.randrange(1, 4)}.00",
        "stock_quantity": random.randrange(3),
        "discount": f"{random.randrange(2)}.00",
        "description": "x" * 5_000 if random.random() < 0.04 and not complete else None,
    }
    if not complete and random.random() < 0.3:
        for name in random.sample(sorted(product.keys() - {"product_id"}), 3):
            del product[name]
    action = random.choice(["updated", "updated", "stock_updated", "deleted", "renamed"])
    return key, json.dumps(
        {
            "event_id": f"{random.getrandbits(64):x}",
            "action": "created" if complete else action,
            "timestamp": f"2026-01-01T00:{random.randrange(60):02d}:00Z",
            "product": product,
        }
    ).encode()


@dataclass
class Done:
    """Topics on which workers with changing settings did all there was, and what they counted."""

    topics: Topics
    counted: Counter[str] = field(default_factory=Counter)
    source: Records = field(default_factory=dict)
    states: Records = field(default_factory=dict)
    letters: Records = field(default_factory=dict)


async def work(kafka: str, directory: Path, random: Random) -> Done:
    topics = await Topics.made(kafka)
    names = topics.names
    done = Done(topics)
    await alter(topics.kafka, names.states, cleanup_policy="compact", max_message_bytes="4512")
    for number, settings in enumerate(SESSIONS):
        (directory / "state.log").unlink(missing_ok=True)
        with WorkerProcess(kafka, directory / "state", {**names.settings, **settings}) as worker:
            worker.wait_until_ready()
            events = history(random, number)
            await produce(kafka, events, names.source)
            await wait_until_done(kafka, names)
            done.counted += wait_until_counted(len(events), worker)
            assert worker.terminate() == 0
    done.source = await read_topic(kafka, names.source)
    done.states = await read_topic(kafka, names.states)
    done.letters = await read_topic(kafka, names.dead_letters)
    return done
