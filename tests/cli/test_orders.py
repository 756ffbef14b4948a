"""The commands on orders: text ids, keys in JSON, flat rows; what a real worker made of them."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import pytest

from tests.cli.topics import Topics
from tests.core.orders import EPOCH_ORDER, document_of
from tests.support.topics import partition_of, produce, wait_until_done
from tests.support.workers import Names, WorkerProcess

ENTITY: Final = {"DEDUP_ENTITY": "tests.core.orders:FLAT"}
IDS: Final = ("AB-1", "AB-10", "17", "x" * 20, "é/2", "a b", '{"', "-1")
EVENTS: Final = 400
STATUSES: Final = ("open", "paid", "sent")


class Sent(NamedTuple):
    """A record as it was sent, and what it means; no status: a null value."""

    key: bytes
    value: bytes | None
    order_id: str
    at: int
    status: str | None


def key_of(order_id: str) -> bytes:
    return json.dumps({"order_id": order_id}, ensure_ascii=False, separators=(",", ":")).encode()


def sent(seed: int = 4) -> list[Sent]:
    """Orders with duplicates, late ones and deletes; totals in several forms."""
    draw, found = Random(seed), []
    for number in range(EVENTS):
        order_id, status = draw.choice(IDS), draw.choice(STATUSES)
        at = 1_000 * number - (50_000 if draw.random() < 0.1 else 0)
        tokens = {
            "order_id": json.dumps(order_id),
            "status": f'"{status}"',
            "total": draw.choice(['"120.00"', "120", "1.2e2"]),
            "updated_at": str(at),
        }
        value = document_of(EPOCH_ORDER, tokens).encode()
        deletes = draw.random() < 0.1
        found.append(
            Sent(
                key_of(order_id),
                None if deletes else value,
                order_id,
                at,
                None if deletes else status,
            )
        )
    return found


def judged(events: list[Sent]) -> dict[str, list[tuple[str, str | None]]]:
    """Outcome and status of the events of each order, by the rules of the design."""
    known: dict[str, str | None] = {}
    newest: dict[str, int] = {}
    found: dict[str, list[tuple[str, str | None]]] = {}
    for event in events:
        outcomes = found.setdefault(event.order_id, [])
        before = known.get(event.order_id)
        if event.status is None:
            outcomes.append(("duplicate" if before is None else "tombstone", None))
            known[event.order_id] = None
        elif event.at < newest.get(event.order_id, event.at):
            outcomes.append(("stale", event.status))
        else:
            newest[event.order_id] = event.at
            outcomes.append(("duplicate" if before == event.status else "change", event.status))
            known[event.order_id] = event.status
    return found


class Orders(NamedTuple):
    """Topics on which a worker did all there was to do, and what must have come of it."""

    topics: Topics
    judged: dict[str, list[tuple[str, str | None]]]

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(outcome for events in self.judged.values() for outcome, _ in events)

    @property
    def living(self) -> dict[str, str]:
        last = {
            order_id: [status for outcome, status in events if outcome in ("change", "tombstone")]
            for order_id, events in self.judged.items()
        }
        return {i: statuses[-1] for i, statuses in last.items() if statuses and statuses[-1]}

    def run(self, *arguments: str, **settings: str) -> str:
        return self.topics.run(*arguments, **ENTITY, **settings)

    def json_of(self, *arguments: str, **settings: str) -> Any:
        return self.topics.json_of(*arguments, **ENTITY, **settings)


@pytest.fixture(scope="module")
def orders(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Orders:
    return asyncio.run(work(kafka, tmp_path_factory.mktemp("worker") / "state"))


async def work(kafka: str, data_dir: Path) -> Orders:
    """Half of the events before a restart of the worker, half after it."""
    names, events = Names.fresh(), sent()
    for half in (events[: EVENTS // 2], events[EVENTS // 2 :]):
        with WorkerProcess(kafka, data_dir, {**ENTITY, **names.settings}) as worker:
            worker.wait_until_ready()
            await produce(kafka, [(each.key, each.value) for each in half], names.source)
            await wait_until_done(kafka, names)
            assert worker.terminate() == 0
    return Orders(Topics(kafka, names), judged(events))


def test_the_statistics_are_named_after_the_entity(orders: Orders) -> None:
    shown = orders.json_of("stats", "--rows", "100")
    stats = shown["deduplication_stats"]
    assert +Counter(stats["outcomes"]) == orders.outcomes
    assert stats["unique_orders"] == len(IDS)
    assert shown["raw_versus_deduplicated"]["current_orders"] == len(orders.living)
    rows = {row["order_id"]: row["status"] for row in shown["current_order_state"]}
    assert rows == orders.living
    assert {row["total"] for row in shown["current_order_state"]} == {"120.00"}
    assert "order" in orders.run("stats").lower()
    assert "product" not in orders.run("stats").lower()


def test_what_a_worker_wrote_of_orders_has_no_fault(orders: Orders) -> None:
    found = orders.json_of("verify")
    assert found["sound"] is True
    looked_at = {check["title"]: check["looked_at"] for check in found["checks"]}
    assert looked_at["rows against a replay of the events"] >= len(orders.living)
    emitted = orders.outcomes["change"] + orders.outcomes["tombstone"]
    assert looked_at["neighbouring records differ"] == emitted


@pytest.mark.parametrize("order_id", ["AB-1", "17", "é/2", '{"', "x" * 20])
def test_an_order_is_inspected_by_its_id(orders: Orders, order_id: str) -> None:
    shown = orders.json_of("inspect", order_id, "--events", "1000")
    assert shown["order_id"] == order_id
    assert shown["partition"] == partition_of(key_of(order_id))
    assert [e["outcome"] for e in shown["events"]] == [o for o, _ in orders.judged[order_id]]
    emitted = [s for o, s in orders.judged[order_id] if o in ("change", "tombstone")]
    assert [r["row"] and r["row"]["status"] for r in shown["history"]] == emitted
    assert shown["fingerprint_matches"] is (True if order_id in orders.living else None)
    text = orders.run("inspect", order_id)
    assert text.startswith(f"Order {order_id}, partition ")


def test_an_id_that_begins_with_a_hyphen_is_inspected_too(orders: Orders) -> None:
    shown = json.loads(orders.run("inspect", "--json", "--", "-1"))
    assert (shown["order_id"], len(shown["events"])) == ("-1", min(20, len(orders.judged["-1"])))


@pytest.mark.parametrize("order_id", ["AB-2", "ab-1", "AB-100"])
def test_an_unknown_order_is_an_error_and_exit_1(orders: Orders, order_id: str) -> None:
    result = orders.topics.invoke("inspect", order_id, **ENTITY)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: Nothing is known of order {order_id}")


def test_what_is_no_id_of_an_order_is_wrong_usage(orders: Orders) -> None:
    for arguments in (["inspect", "x" * 21], ["tail", "--id", "x" * 21, "--until-end"]):
        result = orders.topics.invoke(*arguments, **ENTITY)
        assert result.exit_code != 0
        assert "is no order_id of the entity order." in result.stderr


@pytest.mark.parametrize("order_id", ["AB-1", "17", "é/2"])
def test_tail_prints_the_decisions_on_one_order(orders: Orders, order_id: str) -> None:
    lines = orders.run("tail", "--id", order_id, "--from-beginning", "--until-end", "--json")
    shown = [json.loads(line) for line in lines.splitlines()]
    assert {each["order_id"] for each in shown} == {order_id}
    assert [each["outcome"] for each in shown] == [o for o, _ in orders.judged[order_id]]


def test_tail_prints_all_decisions_and_the_rows_of_one_order(orders: Orders) -> None:
    lines = orders.run("tail", "--from-beginning", "--until-end", "--json").splitlines()
    assert Counter(json.loads(line)["outcome"] for line in lines) == orders.outcomes
    rows = orders.run("tail", "--rows", "--id", "é/2", "--from-beginning", "--until-end")
    emitted = [s for o, s in orders.judged["é/2"] if o in ("change", "tombstone")]
    values = [json.loads(line.split("\t")[1]) for line in rows.splitlines()]
    assert [value and value["status"] for value in values] == emitted


def test_check_takes_the_key_from_the_event_or_from_the_option(
    tmp_path: Path, orders: Orders
) -> None:
    file = tmp_path / "orders.jsonl"
    lines = [document_of(EPOCH_ORDER, {"updated_at": str(at)}) for at in (1, 2)]
    file.write_text("\n".join([*lines, document_of(EPOCH_ORDER, {"total": '"x"'})]))
    result = orders.topics.invoke("check", "--json", str(file), **ENTITY)
    shown = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["outcome"] for each in shown] == ["change", "duplicate", "dead_letter"]
    assert [each["order_id"] for each in shown] == ["AB-1", "AB-1", None]
    assert "total" in shown[2]["why"]
    assert result.exit_code == 3
    for key, outcome in (('{"order_id":"AB-1"}', "change"), ("AB-1", "dead_letter")):
        result = orders.topics.invoke("check", "--json", "--key", key, str(file), **ENTITY)
        assert json.loads(result.stdout.splitlines()[0])["outcome"] == outcome
    result = orders.topics.invoke("check", "--key", '"CD-2"', str(file), **ENTITY)
    assert "its order_id is AB-1" in result.stdout
