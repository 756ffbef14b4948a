"""The lines that the console shows for an event."""

from producer.events import GeneratedEvent, Kind
from producer.live import money

_HEADINGS = {
    Kind.DUPLICATE: "🔄 Generating DUPLICATE event!",
    Kind.LATE: "🕰️  Redelivering a LATE event!",
    Kind.PARTIAL: "🧩 Generating PARTIAL event: changed fields only!",
    Kind.REDELIVERY: "📨 REDELIVERING an event with its event_id!",
    Kind.REVERT: "↩️  REVERTING to an earlier content!",
}


def event_lines(event: GeneratedEvent) -> list[str]:
    """Return the lines for one event that was sent."""
    content = event.content
    if content is None:
        return [f"🚫 Sent INVALID event: {event.flaw}"]
    lines = [_HEADINGS[event.kind]] if event.kind in _HEADINGS else []
    icon = "🗑️ " if event.action == "deleted" else "📦"
    lines.append(
        f"{icon} Sent event: {event.action} for product {content.product_name} "
        f"(ID: {content.product_id})"
    )
    if event.old_price_cents is not None:
        old, new = money(event.old_price_cents), money(content.price_cents)
        lines.append(f"   💰 Price changed: ${old} → ${new}")
    if event.action == "stock_updated":
        lines.append(f"   📦 Stock updated to: {content.stock_quantity}")
    return lines


def summary_line(sent: int, duplicates: int) -> str:
    """Return the line that ends a run."""
    share = 100 * duplicates / sent if sent else 0.0
    return f"✅ Sent {sent:,} events, {duplicates:,} of them duplicates ({share:.1f} %)"
