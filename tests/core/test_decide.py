"""The decision, rule by rule: the cases that whole histories reach seldom or never."""

import json
from dataclasses import replace

import pytest
from msgspec import structs

from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.decide import DAY_US, EMITTING, Decision, Position, ProcessingTime, Rules, decide
from dedup.core.records import output_headers
from dedup.core.state import State
from tests.core.records import event_json
from tests.core.runs import CLOCK, NOW_MS
from tests.support.products import CODEC, rules

RULES = rules()


def sent(second: int = 0, action: str = "updated", /, **tokens: str | None) -> bytes:
    """An event of product 1 at 10:30 and some seconds; tokens of product fields, None: absent."""
    return event_json(
        {
            "action": f'"{action}"',
            "timestamp": f'"2023-12-01T10:30:{second:02d}Z"',
            **{f"product.{field}": token for field, token in tokens.items()},
        }
    )


def judge(
    value: bytes | None,
    state: State | None = None,
    at: tuple[int, int] = (0, 0),
    by: Rules = RULES,
    clock: ProcessingTime = CLOCK,
) -> Decision:
    return decide(CODEC.read(b"1", value), state, Position(*at), clock, by)


def state_after(
    value: bytes | None, state: State | None = None, at: tuple[int, int] = (0, 0)
) -> State:
    decision = judge(value, state, at)
    assert decision.state is not None, decision
    return decision.state


def later(microseconds: int) -> ProcessingTime:
    return ProcessingTime(CLOCK.now_us + microseconds, "later")


KNOWN = state_after(sent(10), at=(2, 100))
DELETED = state_after(sent(20, "deleted"), KNOWN, at=(2, 101))


def test_a_topic_recreated_is_told_from_a_replay_by_the_event_time() -> None:
    """Rule 2: at or before the state's offset and not newer: replayed; newer: offsets restarted."""
    other = sent(11, price='"1.00"')
    for offset in (0, 100):
        decision = judge(other, KNOWN, (2, offset))
        assert decision.outcome == "change"
        assert decision.offset_regression
        assert decision.state is not None
        assert decision.state.offset == offset
    assert judge(sent(11), KNOWN, (2, 100)).outcome == "duplicate"
    assert judge(sent(11), KNOWN, (2, 100)).offset_regression
    for second in (9, 10):
        again = sent(second, price='"1.00"')
        assert judge(again, KNOWN, (2, 100)) == judge(again, KNOWN, (2, 5))
        assert judge(again, KNOWN, (2, 5)).outcome == "replayed"
        assert not judge(again, KNOWN, (2, 5)).offset_regression


def test_a_replayed_delete_by_null_value_stays_without_effect() -> None:
    assert judge(None, KNOWN, (2, 100)).outcome == "replayed"
    assert judge(None, KNOWN, (2, 101)).outcome == "tombstone"


def test_only_the_partition_a_state_came_from_can_replay_it() -> None:
    decision = judge(sent(10, price='"1.00"'), KNOWN, (1, 5))
    assert decision.outcome == "change"
    assert not decision.offset_regression


def test_a_state_of_unknown_source_is_never_replayed() -> None:
    """A row that Flink wrote names no source."""
    foreign = CODEC.state_from_record(KNOWN.row, [], NOW_MS)
    assert foreign is not None
    assert judge(sent(10), foreign, (0, 0)).outcome == "duplicate"
    assert judge(sent(10, price='"1.00"'), foreign, (0, 0)).outcome == "change"


def test_a_late_event_is_stale_and_an_equal_time_is_not() -> None:
    assert judge(sent(9, price='"1.00"'), KNOWN, (2, 101)).state is None
    assert judge(sent(9, price='"1.00"'), KNOWN, (2, 101)).outcome == "stale"
    assert judge(sent(10, price='"1.00"'), KNOWN, (2, 101)).outcome == "change"


def test_arrival_order_applies_a_late_event() -> None:
    arrival = rules(order="arrival")
    assert judge(sent(9, price='"1.00"'), KNOWN, (2, 101), arrival).outcome == "change"
    assert judge(sent(9, price='"1.00"'), KNOWN, (2, 100), arrival).outcome == "replayed"


def test_a_duplicate_is_counted_and_its_time_remembered() -> None:
    state = state_after(sent(30), KNOWN, (2, 101))
    assert state == structs.replace(
        KNOWN, event_time=KNOWN.event_time + 20_000_000, offset=101, duplicates=KNOWN.duplicates + 1
    )
    assert judge(sent(29, price='"1.00"'), state, (2, 102)).outcome == "stale"


def test_a_late_event_does_not_resurrect_a_deleted_product_while_the_marker_stands() -> None:
    assert judge(sent(19), DELETED, (2, 102)).outcome == "stale"
    assert judge(sent(19), DELETED, (2, 102), clock=later(DAY_US)).outcome == "stale"
    assert judge(sent(19), DELETED, (2, 102), clock=later(DAY_US + 1)).outcome == "change"
    kept_longer = replace(RULES, deleted_marker_us=2 * DAY_US)
    clock = later(DAY_US + 1)
    assert judge(sent(19), DELETED, (2, 102), kept_longer, clock).outcome == "stale"


def test_a_live_product_has_no_marker_to_expire() -> None:
    clock = later(400 * DAY_US)
    assert judge(sent(9), KNOWN, (2, 101), clock=clock).outcome == "stale"
    assert judge(sent(10), KNOWN, (2, 101), clock=clock).outcome == "duplicate"


def test_a_product_created_again_has_a_new_row_even_with_the_old_content() -> None:
    assert judge(sent(21, "created"), DELETED, (2, 102)).outcome == "change"


@pytest.mark.parametrize("value", [None, sent(20, "deleted"), sent(40, "deleted")])
def test_deleting_the_deleted_is_a_duplicate(value: bytes | None) -> None:
    decision = judge(value, DELETED, (2, 102))
    assert decision.outcome == "duplicate"
    assert decision.state is not None
    assert decision.state.row is None
    assert decision.state.offset == 102


def test_the_newest_time_of_a_deletion_counts_also_when_it_was_deleted_before() -> None:
    again = state_after(sent(40, "deleted"), DELETED, (2, 102))
    assert judge(sent(39), again, (2, 103)).outcome == "stale"
    assert judge(sent(40), again, (2, 103)).outcome == "change"


def test_a_tombstone_names_its_source() -> None:
    assert (DELETED.partition, DELETED.offset) == (2, 101)
    assert judge(sent(20), DELETED, (2, 101)).outcome == "replayed"


def test_deleting_the_unknown_is_a_duplicate_whose_time_is_seen() -> None:
    state = state_after(sent(20, "deleted"))
    assert judge(sent(20, "deleted")).outcome == "duplicate"
    assert judge(sent(19), state, (0, 1)).outcome == "stale"
    assert judge(sent(20), state, (0, 1)).outcome == "change"
    assert judge(None).outcome == "duplicate"


def test_a_delete_by_null_value_is_never_stale_and_moves_no_time() -> None:
    newer = state_after(sent(59), KNOWN, (2, 101))
    decision = judge(None, newer, (2, 102))
    assert decision.outcome == "tombstone"
    assert decision.state is not None
    assert decision.state.event_time == newer.event_time
    assert decision.state.row is None


def test_a_partial_update_keeps_what_it_does_not_name() -> None:
    changes = dict.fromkeys(("product_name", "description", "stock_quantity", "discount"))
    state = state_after(
        sent(11, "price_changed", price='"1.00"', created_at=None, updated_at=None, **changes),
        KNOWN,
        (2, 101),
    )
    before, after = json.loads(KNOWN.row or b""), json.loads(state.row or b"")
    assert after["price"] == "1.00"
    kept = ("product_name", "description", "stock_quantity", "discount", "created_at", "updated_at")
    assert [after[field] for field in kept] == [before[field] for field in kept]


def test_a_created_event_takes_defaults_for_what_it_lacks() -> None:
    state = state_after(
        sent(11, "created", description=None, stock_quantity=None, discount=None), KNOWN, (2, 101)
    )
    row = json.loads(state.row or b"")
    assert [row[f] for f in ("description", "stock_quantity", "discount")] == [None, 0, "0.00"]


@pytest.mark.parametrize("state", [None, DELETED])
@pytest.mark.parametrize("field", ["product_name", "price"])
def test_a_partial_update_of_nothing_known_is_refused(state: State | None, field: str) -> None:
    decision = judge(sent(30, **{field: None}), state, (2, 102))
    assert isinstance(decision.dead_letter, DeadLetter)
    assert decision.dead_letter.reason is Reason.PARTIAL_WITHOUT_STATE
    others = dict.fromkeys(("description", "stock_quantity", "discount"))
    assert judge(sent(30, **others), state, (2, 102)).outcome == "change"


def test_a_heartbeat_repeats_an_unchanged_state_whose_emission_is_long_ago() -> None:
    refreshing = rules(window_us=60_000_000)
    early, late = later(59_999_999), later(60_000_001)
    decision = judge(sent(11), KNOWN, (2, 101), refreshing, early)
    assert decision.outcome == "duplicate"
    assert decision.state is not None
    assert decision.state.emitted_at == KNOWN.emitted_at
    decision = judge(sent(11), KNOWN, (2, 101), refreshing, late)
    assert decision.outcome == "refresh"
    assert decision.outcome in EMITTING
    assert decision.state is not None
    assert decision.state.fingerprint == KNOWN.fingerprint
    assert decision.state.emitted_at == late.now_us
    assert judge(sent(12), decision.state, (2, 102), refreshing, late).outcome == "duplicate"
    assert judge(sent(9), KNOWN, (2, 101), refreshing, late).outcome == "stale"
    assert judge(sent(10), KNOWN, (2, 100), refreshing, late).outcome == "replayed"


def test_the_content_fields_can_be_changed_without_losing_the_state() -> None:
    """A fingerprint of another choice is not compared: the row's is."""
    by_price = rules(("price",))
    rebuilt = by_price.codec.state_from_record(KNOWN.row, output_headers(KNOWN), NOW_MS)
    for state in (KNOWN, rebuilt):
        assert judge(sent(11, product_name='"x"'), state, (2, 101), by_price).outcome == "duplicate"
        assert judge(sent(11, price='"1.00"'), state, (2, 101), by_price).outcome == "change"


def test_there_and_back_again_is_emitted_three_times() -> None:
    state, outcomes = None, []
    for second, price in enumerate(['"1.00"', '"2.00"', '"1.00"', "1"]):
        decision = judge(sent(second, price=price), state, (0, second))
        state = decision.state
        outcomes.append(decision.outcome.value)
    assert outcomes == ["change", "change", "change", "duplicate"]


def test_a_dead_letter_changes_nothing_that_is_known() -> None:
    decision = judge(sent(50, price='"-1"'), KNOWN, (2, 101))
    assert decision.outcome == "dead_letter"
    assert decision.state is None
