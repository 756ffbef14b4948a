"""The names of variants, as `dedup compare` reads them."""

import pytest

from dedup.inspection.variants import VariantError, default_variants, read_variants
from dedup.settings import load_settings

SETTINGS = load_settings({})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("newest", "'latest', 'distinct' or 'event_id'"),
        ("distinct", "distinct: it needs a window, such as distinct:24h."),
        ("event_id:sliding", "it needs a window, such as event_id:sliding:24h."),
        ("latest:sliding", "it needs a window"),
        ("latest:10x", "DEDUP_WINDOW=10x is not accepted: expected a duration above 0"),
        ("latest:weekly", "'weekly' is not accepted: expected a window such as 10m, fixed or"),
        ("latest:", "'' is not accepted"),
        ("latest:10m:5m", "latest:10m:5m: '5m' contradicts '10m'."),
        ("latest:fields=colour", "DEDUP_CONTENT_FIELDS=colour is not accepted: expected fields of"),
        ("distinct:1h:entries=0", "DEDUP_WINDOW_ENTRIES=0 is not accepted"),
    ],
)
def test_what_is_no_variant_is_named_with_what_is_accepted(name: str, message: str) -> None:
    with pytest.raises(VariantError) as error:
        read_variants(["latest", name], SETTINGS)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)


def test_a_variant_takes_the_rest_from_the_settings_but_not_their_window() -> None:
    settings = load_settings(
        {
            "DEDUP_STRATEGY": "distinct",
            "DEDUP_WINDOW": "5m",
            "DEDUP_WINDOW_KIND": "sliding",
            "DEDUP_ORDER": "arrival",
            "DEDUP_CONTENT_FIELDS": "price",
        }
    )
    ((_, latest), (_, other)) = read_variants(["latest", "event_id:1h:event_time"], settings)
    assert (latest.strategy, latest.window_us, latest.window_kind) == ("latest", None, "fixed")
    assert (latest.order, latest.codec.content) == ("arrival", ("price",))
    assert (other.order, other.window_us) == ("event_time", 3_600_000_000)
    heartbeat = load_settings({"DEDUP_REFRESH_AFTER": "1h"})
    assert read_variants(["latest"], heartbeat)[0].rules.window_us is None


def test_an_entity_without_event_ids_is_compared_by_two_strategies() -> None:
    settings = load_settings({"DEDUP_ENTITY": "tests.core.orders:FLAT"})
    assert default_variants(SETTINGS.entity) == ["latest", "distinct:24h", "event_id:24h"]
    assert default_variants(settings.entity) == ["latest", "distinct:24h"]
    with pytest.raises(VariantError, match="needs events with an id, and the envelope of"):
        read_variants(["event_id:1h"], settings)
