"""Any JSON: a sentence says why nothing is inferred, or the written module can be imported."""

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedup.inference.events import InferenceError, SampledRecord
from dedup.inference.infer import infer
from dedup.inspection.entity_file import written

NAMES: Final = st.sampled_from(
    [
        *("id", "at", "updated_at", "old_name", "name", "date", "datetime", "dt", "list"),
        *("class", "json", "model_config", "a-b", "_x", "", "processing_time", "op", "source"),
        *("action", "event_id", "last_old_name", "größe", "\ufb01", "order_status", "orderStatus"),
        *("EpochMs", "OrderStatus", "Order", "ORDER", "created_on", "True", "model_dump_x"),
        *("Decimal", "after", "self", "x" * 90),
    ]
)
SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([1_700_000_000, 1_700_000_000_000, 1_700_000_000_000_000, 0, 1, 19692]),
    st.decimals(allow_nan=False, allow_infinity=False).map(float),
    st.sampled_from(["1", "1.50", "01", "2024-01-01", "2024-01-01T00:00:00Z", "c", "created"]),
    st.sampled_from(['{"a":1}', "[1]", "AA==", '"', "\\", "'", "\n", "\x00", "\u2028", "BNI="]),
    st.uuids().map(str),
    st.text(max_size=5),
)
VALUES: Final = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def topics(draw: st.DrawFn) -> list[SampledRecord]:
    """Return records alike enough for something to be inferred now and then."""
    shape = draw(st.sampled_from(["any", "flat", "wrapped", "debezium"]))
    members = draw(st.dictionaries(NAMES, VALUES, min_size=2, max_size=8))
    records = []
    for offset in range(draw(st.integers(1, 5))):
        changes = draw(st.dictionaries(st.sampled_from(sorted(members)), VALUES, max_size=2))
        row: Any = {**members, **changes}
        row_id = draw(st.sampled_from([offset, str(offset), f"k{offset}"]))
        if shape != "any":
            row |= {"id": row_id, "at": "2024-01-01T00:00:00Z"}
        if shape == "wrapped":
            row = {**{f"m_{n}": v for n, v in members.items()}, "at": 1_700_000_000, "row": row}
        elif shape == "debezium":
            row = {"op": "c", "source": {"ts_ms": 1}, "after": row, "before": None}
        key = draw(st.sampled_from([str(row_id), json.dumps(row_id), json.dumps({"id": row_id})]))
        value = json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass")
        records.append(SampledRecord(0, offset, key.encode(), value))
    return records


@given(records=topics(), wanted=st.sampled_from([None, "id", "name"]))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_sentence_or_a_module_comes_of_any_json(
    records: list[SampledRecord], wanted: str | None
) -> None:
    try:
        inferred = infer(records, wanted)
    except InferenceError:
        return
    module = written(inferred, "order", "shop.public.x-1_y", records)
    assert module.refusals.taken + module.refusals.refused.total() == len(records)


@given(data=st.lists(st.tuples(st.binary(max_size=30), st.binary(max_size=60)), max_size=5))
@settings(max_examples=100, deadline=None)
def test_bytes_that_are_no_json_are_a_sentence(data: list[tuple[bytes, bytes]]) -> None:
    records = [SampledRecord(0, offset, *pair) for offset, pair in enumerate(data)]
    with pytest.raises(InferenceError):
        infer(records)
