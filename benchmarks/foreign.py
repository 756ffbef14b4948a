"""The same events as other producers would write them.

Three services that share the topic, chosen at random for each event: one in Java with Jackson, and
two in Python with the json module as it comes and with UTF-8. They keep the contract of `products`
and nothing else: other orders of fields, white space, UTF-8, times in milliseconds, with `Z` or an
offset, and fields that the contract does not name. Names are what a shop in several languages has.
Whatever they write, the oracle reads it for itself.
"""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.workload import Workload, fill, new_workload
from tests.support.topics import Records, read_topic

Event = dict[str, Any]

_SUFFIXES: Final = ("", " (Größe M)", " «Édition spéciale»", " 日本語版", " ½ l")
"""What the name of a product gets, by its id: a fifth of the names stays ASCII."""


class Written(NamedTuple):
    """A record to send."""

    key: bytes | None
    value: bytes | None


def _milliseconds(text: str, zone: str) -> str:
    """Return a time in milliseconds; `zone` is how UTC is written."""
    time = datetime.fromisoformat(text).isoformat(timespec="milliseconds")
    return time.removesuffix("+00:00") + zone


def _product(product: Event, zone: str) -> Event:
    name = product["product_name"] + _SUFFIXES[product["product_id"] % len(_SUFFIXES)]
    return {
        **product,
        "product_name": name,
        "created_at": _milliseconds(product["created_at"], zone),
        "updated_at": _milliseconds(product["updated_at"], zone),
    }


def jackson(event: Event, random: Random) -> bytes:
    """Write an event as a Java service does: sorted properties, compact, UTF-8, `Z`."""
    product = _product(event["product"], "Z")
    document = {
        "action": event["action"],
        "event_id": event["event_id"],
        "old_price": event["old_price"],
        "product": {**product, "category": {"id": random.randrange(500), "path": "shop/all"}},
        "schema_version": 4,
        "timestamp": _milliseconds(event["timestamp"], "Z"),
        "trace_id": f"{random.getrandbits(64):016x}",
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode()


def python_default(event: Event, _: Random) -> bytes:
    """Write an event as `json.dumps` does: spaces, escapes, and an offset in the times."""
    document = {
        **event,
        "timestamp": _milliseconds(event["timestamp"], "+00:00"),
        "product": _product(event["product"], "+00:00"),
        "source": "catalogue-import",
    }
    return json.dumps(document).encode()


def python_utf8(event: Event, random: Random) -> bytes:
    """Write an event as `json.dumps` does without escapes, the product first."""
    document = {
        "product": {"tags": ["new", "sale"], **_product(event["product"], "+00:00")},
        "meta": {"host": f"worker-{random.randrange(8)}", "retry": False},
        **{k: v for k, v in event.items() if k not in ("product", "processed", "timestamp")},
        "timestamp": _milliseconds(event["timestamp"], "Z"),
    }
    return json.dumps(document, ensure_ascii=False).encode()


FORMS: Final[tuple[Callable[[Event, Random], bytes], ...]] = (
    jackson,
    python_default,
    python_utf8,
)


def rewritten(source: Records, seed: int) -> Iterator[Written]:
    """Return the events of a topic in other forms, each partition's in their order."""
    random = Random(seed)  # noqa: S311 - reproducible, not secret
    for records in source.values():
        for record in records:
            if record.value is None:
                yield Written(record.key, None)
            else:
                form = random.choice(FORMS)
                yield Written(record.key, form(msgspec.json.decode(record.value), random))


async def in_other_forms(servers: str, workload: Workload) -> Workload:
    """Put the events of a workload on a second topic in other forms; the oracle reads that one."""
    topic = f"{workload.topic}-foreign"
    await fill(servers, topic, rewritten(workload.source, workload.seed), workload.partitions)
    source = await read_topic(servers, topic, workload.partitions)
    return new_workload(topic, workload.mix, workload.seed, workload.populated, source)
