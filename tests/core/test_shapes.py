"""An event in another envelope is refused, and the setting that it needs is named."""

import pytest

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter, Reason
from tests.core.orders import DEBEZIUM, EPOCH_ORDER, FLAT, WRAPPED, document_of


@pytest.mark.parametrize(
    ("codec", "value", "hint"),
    [
        (Codec(WRAPPED), b'{"before":null,"after":{},"op":"c","source":{}}', "envelope=Debezium()"),
        (
            Codec(FLAT),
            b'{"schema":{},"payload":{"before":null,"after":{},"op":"c","source":{}}}',
            "envelope=Debezium()",
        ),
        (Codec(WRAPPED), b'{"order_id":"AB-1"}', "envelope=Flat(time=...)"),
        (Codec(FLAT), b'{"at":1,"order":{"order_id":"AB-1"}}', "envelope=Wrapped(payload=...)"),
        (Codec(WRAPPED), b'{"at":1,"body":{"order_id":"AB-1"}}', "in 'body', not in 'order'"),
        (Codec(DEBEZIUM), document_of(EPOCH_ORDER, {}).encode(), "envelope=Flat(time=...)"),
        (Codec(FLAT), b'{"ts_ms":1}', "a heartbeat of Debezium"),
        (Codec(FLAT), b'{"schema":{},"payload":{"a":1}}', "Kafka Connect"),
    ],
)
def test_an_event_in_another_envelope_names_the_setting(
    codec: Codec, value: bytes, hint: str
) -> None:
    refused = codec.read(b'"AB-1"', value)
    assert isinstance(refused, DeadLetter)
    assert refused.reason is Reason.INVALID_EVENT
    assert hint in refused.message
