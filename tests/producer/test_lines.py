"""The console says what was sent, in the demo's words."""

from producer.events import GeneratedEvent, Kind
from producer.lines import event_lines, summary_line
from producer.live import Content

PHONE = Content(5, "Smartphone", "Phone", 75_623, 89, 0, "")


def test_a_price_change_shows_both_prices() -> None:
    event = GeneratedEvent(b"5", b"", Kind.NEW, "price_changed", PHONE, 69_999)
    assert event_lines(event) == [
        "📦 Sent event: price_changed for product Smartphone (ID: 5)",
        "   💰 Price changed: $699.99 → $756.23",
    ]


def test_a_stock_update_shows_the_stock() -> None:
    event = GeneratedEvent(b"5", b"", Kind.NEW, "stock_updated", PHONE)
    assert event_lines(event) == [
        "📦 Sent event: stock_updated for product Smartphone (ID: 5)",
        "   📦 Stock updated to: 89",
    ]


def test_a_duplicate_is_announced() -> None:
    event = GeneratedEvent(b"5", b"", Kind.DUPLICATE, "created", PHONE)
    assert event_lines(event) == [
        "🔄 Generating DUPLICATE event!",
        "📦 Sent event: created for product Smartphone (ID: 5)",
    ]


def test_late_partial_deleted_and_invalid_events_are_told_apart() -> None:
    def first_line(kind: Kind, action: str, flaw: str | None = None) -> str:
        content = None if flaw else PHONE
        return event_lines(GeneratedEvent(b"5", b"", kind, action, content, None, flaw))[0]

    assert first_line(Kind.LATE, "updated").startswith("🕰️")
    assert first_line(Kind.PARTIAL, "updated").startswith("🧩")
    assert first_line(Kind.REDELIVERY, "updated").startswith("📨")
    assert first_line(Kind.REVERT, "updated").startswith("↩️")
    assert first_line(Kind.DELETE, "deleted").startswith("🗑️")
    assert first_line(Kind.INVALID, "updated", "no key") == "🚫 Sent INVALID event: no key"


def test_the_summary_counts() -> None:
    assert summary_line(2_000, 600) == "✅ Sent 2,000 events, 600 of them duplicates (30.0 %)"
    assert summary_line(0, 0) == "✅ Sent 0 events, 0 of them duplicates (0.0 %)"
