"""`dedup entity infer, check, show` on a real broker, for the entities of others."""

import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest

from dedup.core.codec import Codec
from dedup.core.normal_event import NormalEvent
from dedup.entities.product import PRODUCT
from dedup.inspection.entity_file import load_entity
from dedup.inspection.entity_topic import sample_spans
from producer.events import EventGenerator, Mix
from producer.oracle import Oracle
from tests.cli.topics import Topics
from tests.support.administration import admin, create
from tests.support.topics import partition_of, produce
from tests.support.workers import Names

MS: Final = 1_704_067_200_000


@pytest.fixture
async def topics(kafka: str) -> Topics:
    """A fresh topic of 4 partitions, and the commands on it."""
    names = Names.fresh()
    async with admin(kafka) as client:
        await create(client, names.source)
    return Topics(kafka, names)


@pytest.fixture
def module() -> str:
    """A name that no module has: Python keeps what it has imported."""
    return f"orders_{uuid.uuid4().hex}"


Pair = tuple[bytes | None, bytes | None]


def orders(count: int = 500) -> Iterator[Pair]:
    """Return flat rows with text ids, a third of which say nothing new; some are deletes."""
    draw = random.Random(5)
    totals: dict[str, str] = {}
    for number in range(count):
        row_id = f"AB-{draw.randrange(30)}"
        if draw.random() < 0.05:
            yield row_id.encode(), None
            totals.pop(row_id, None)
            continue
        if row_id not in totals or draw.random() < 0.67:
            totals[row_id] = f"{draw.randrange(1000)}.{draw.randrange(10, 100)}"
        row = f'{{"order_id":"{row_id}","total":{totals[row_id]},"tags":["a"],"updated_at":{{}}}}'
        yield row_id.encode(), row.replace("{}", str(MS + number)).encode()


def expected(records: list[Pair]) -> dict[str, int]:
    """Return what a dictionary makes of flat rows."""
    known: dict[bytes, Any] = {}
    counts = {"change": 0, "duplicate": 0, "tombstone": 0}
    for key, value in records:
        assert key is not None
        row = None if value is None else json.loads(value)
        content = None if row is None else (row["total"], row["tags"])
        if content == known.get(key):
            counts["duplicate"] += 1
        else:
            counts["tombstone" if content is None else "change"] += 1
        known[key] = content
    return counts


async def test_from_a_topic_to_a_checked_entity(
    topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    records = list(orders())
    await produce(topics.kafka, records, topics.names.source)
    monkeypatch.chdir(tmp_path)
    topic = ("--topic", topics.names.source)
    # The module that DEDUP_ENTITY names may not be there yet.
    inferred = topics.invoke(
        "entity", "infer", *topic, "--output", f"{module}.py", "--name", "order",
        DEDUP_ENTITY=f"{module}:ORDER",
    )  # fmt: skip
    assert inferred.exit_code == 0, inferred.output
    assert inferred.stdout == ""
    assert f"Read 500 of 500 records of {topics.names.source}: envelope Flat" in inferred.stderr
    assert f"dedup entity check {module}:ORDER --topic {topics.names.source}" in inferred.stderr
    assert "total: decimal(12, 2) is assumed" in inferred.stderr
    assert "would be dead letters" not in inferred.stderr

    found = topics.json_of("entity", "check", f"{module}:ORDER", *topic)
    of_topic = expected(records)
    assert found["refused"] == 0
    assert {name: found["outcomes"][name] for name in of_topic} == of_topic
    assert found["emitted"] == of_topic["change"] + of_topic["tombstone"]
    assert found["accepted"]["fast_path"] + found["accepted"]["pydantic"] == 500
    assert found["suppressed_share"] == round(of_topic["duplicate"] / 500, 4) > 0.2

    said = topics.run("entity", "check", *topic, DEDUP_ENTITY=f"{module}:ORDER")
    assert f"500 events on {topics.names.source}" in said
    assert "✔ 500 can be applied" in said


async def test_products_are_inferred_as_the_built_in_entity_has_them(
    topics: Topics, tmp_path: Path
) -> None:
    mix = Mix(products=30, late=0.1, deletes=0.05, partial=0.1)
    generator = EventGenerator(3, lambda: datetime(2026, 1, 1, tzinfo=UTC), mix)
    records = [(event.key, event.value) for event in islice(generator, 800)]
    await produce(topics.kafka, records, topics.names.source)
    source = topics.run("entity", "infer", "--topic", topics.names.source, "--name", "product")
    path = tmp_path / "products.py"
    path.write_text(source)
    entity = load_entity(path, "PRODUCT")
    assert (entity.id, entity.key_form) == ("product_id", "text")
    ours, theirs = Codec(entity), Codec(PRODUCT)
    for key, value in records:
        said, known = ours.read(key, value), theirs.read(key, value)
        assert isinstance(said, NormalEvent)
        assert isinstance(known, NormalEvent)
        assert (said.id, said.kind == "delete", said.time, said.provenance) == (
            known.id,
            known.kind == "delete",
            known.time,
            known.provenance,
        )
    oracle = Oracle()
    by_partition = sorted(records, key=lambda record: partition_of(record[0] or b""))
    oracle.feed(by_partition)
    checked = topics.json_of("entity", "check", "--topic", topics.names.source)
    assert {n: c for n, c in checked["outcomes"].items() if c} == dict(oracle.outcomes)


async def test_what_would_be_refused_is_told_with_reason_and_position(topics: Topics) -> None:
    fine = b'{"event_id":"e","action":"created","timestamp":"2024-01-01T00:00:00Z","product":%s}'
    good = fine % b'{"product_id":1,"product_name":"x","price":"1.00"}'
    bad = fine % b'{"product_id":1,"product_name":"x","price":"1.005"}'
    records: list[Pair] = [(b"1", good), (b"1", good), (b"1", b"{"), (b"2", good), (b"1", bad)]
    await produce(topics.kafka, [*records, (b"1", bad)], topics.names.source, partition_key=b"1")
    said = topics.invoke("entity", "check", "--topic", topics.names.source, "--json")
    assert said.exit_code == 3
    found = json.loads(said.stdout)
    assert (found["events"], found["refused"], found["emitted"]) == (6, 4, 1)
    assert found["suppressed_share"] == 0.5
    partition = partition_of(b"1")
    told = [
        (r["reason"], r["events"], r["partition"], r["offset"], r["key"]) for r in found["refusals"]
    ]
    assert told == [
        ("invalid_json", 1, partition, 2, "1"),
        ("key_mismatch", 1, partition, 3, "2"),
        ("invalid_event", 2, partition, 4, "1"),
    ]
    assert "product.price" in found["refusals"][2]["message"]
    text = topics.invoke("entity", "check", "--topic", topics.names.source)
    assert text.exit_code == 3
    assert "✖ 4 would be dead letters" in text.stdout
    assert f"first at partition {partition}, offset 4, key 1" in text.stdout


async def test_a_topic_that_nothing_can_be_inferred_from_is_one_sentence(topics: Topics) -> None:
    for topic, sentence in (
        (topics.names.source, "The topic has no records"),
        ("not-there", "There is no topic --topic=not-there"),
    ):
        said = topics.invoke("entity", "infer", "--topic", topic)
        assert (said.exit_code, said.stdout) == (1, "")
        assert said.stderr.startswith(f"Error: {sentence}"), said.stderr
    await produce(topics.kafka, [(b"1", b"<xml/>")], topics.names.source)
    said = topics.invoke("entity", "infer", "--topic", topics.names.source)
    assert "Error: No value of the topic is a JSON object: 1 are no JSON" in said.stderr


async def test_a_file_is_not_overwritten_unless_forced(topics: Topics, tmp_path: Path) -> None:
    await produce(topics.kafka, list(orders(50)), topics.names.source)
    path = tmp_path / "orders.py"
    path.write_text("mine")
    infer = ("entity", "infer", "--topic", topics.names.source, "--output", str(path))
    refused = topics.invoke(*infer)
    assert refused.exit_code == 2
    assert "the file exists; --force overwrites it." in refused.stderr
    assert path.read_text() == "mine"
    topics.run(*infer, "--force")
    assert "class Product" in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--output", "a-b.py"), "a module's file is expected"),
        (("--output", "orders.txt"), "a module's file is expected"),
        (("--output", "nowhere/orders.py"), "there is no such directory"),
        (("--name", "A B"), "small letters, digits and _ are accepted"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_read(
    kafka: str, arguments: tuple[str, ...], message: str
) -> None:
    said = Topics(kafka, Names.fresh()).invoke("entity", "infer", "--topic", "x", *arguments)
    assert said.exit_code == 2
    assert message in said.stderr


def test_what_an_event_is_needs_no_broker() -> None:
    topics = Topics("127.0.0.1:1", Names.fresh())
    shown = topics.json_of("entity", "show", "dedup.entities.product:PRODUCT")
    assert shown["content"] == list(PRODUCT.content)
    assert shown["columns"][0] == {
        "name": "product_id",
        "kind": "integer",
        "nullable": False,
        "flink": "BIGINT",
        "postgres": "bigint",
    }
    example = shown["example"]
    said = Codec(PRODUCT).read(example["key"].encode(), json.dumps(example["value"]).encode())
    assert isinstance(said, NormalEvent)
    text = topics.run("entity", "show")
    for words in ("product: id product_id, envelope Wrapped", "decimal(10, 2)", '"$defs"'):
        assert words in text
    unknown = topics.invoke("entity", "show", "nope:X")
    assert unknown.exit_code == 1
    assert "there is no module nope" in unknown.stderr


@pytest.mark.parametrize("most", [1, 3, 10, 57, 1000])
def test_a_sample_has_the_oldest_and_the_newest_of_each_partition(most: int) -> None:
    spans = {0: range(5, 6), 1: range(100, 140), 2: range(7, 7), 3: range(20)}
    first, last = sample_spans(spans, most)
    taken = {p: {*first[p], *last[p]} for p in spans}
    assert sum(map(len, taken.values())) == min(most, 61)
    for partition, span in spans.items():
        assert taken[partition] <= {*span}
        assert not {*first[partition]} & {*last[partition]}
    if most == 10:
        assert taken == {0: {5}, 1: {100, 101, 102, 138, 139}, 2: set(), 3: {0, 1, 18, 19}}
