"""What a bar is: a figure, and what it is to reach; alone, or as a multiple of another figure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any, Final, NamedTuple

Result = Mapping[str, Any]


class Comparison(StrEnum):
    """How a figure stands to its limit when the bar holds."""

    AT_LEAST = "at least"
    ABOVE = "above"
    BELOW = "below"

    def holds(self, value: float, limit: float) -> bool:
        """Say whether a value is on the right side of a limit."""
        if self is Comparison.AT_LEAST:
            return value >= limit
        return value > limit if self is Comparison.ABOVE else value < limit


@dataclass(frozen=True)
class Figure:
    """A figure of a result file of some kind; `of` gives None where the file has none."""

    kind: str
    of: Callable[[Result], float | None]


@dataclass(frozen=True)
class Bar:
    """`what` is compared with `limit`, or with `limit` times the figure `against`.

    Both figures come from one result file: the machine has slower and faster days. One that is
    `only_towards` says how far it is to a further aim, and is no promise.
    """

    what: str
    figure: Figure
    comparison: Comparison
    limit: float
    against: Figure | None = None
    against_what: str = ""
    unit: str = "events/s"
    only_towards: bool = False

    @property
    def goal(self) -> str:
        """Return what is to be reached, in words."""
        if self.against is None:
            return f"{self.comparison} {self.limit:,g} {self.unit}".strip()
        times = "" if self.limit == 1 else f"{self.limit:g} times "
        return f"{self.comparison} {times}{self.against_what}"


class Verdict(NamedTuple):
    """How a bar stands: the values and the file they are from, or nothing at all."""

    bar: Bar
    value: float | None = None
    against: float | None = None
    source: str = ""

    @property
    def holds(self) -> bool | None:
        """Say whether the bar holds; None: not measured."""
        if self.value is None:
            return None
        limit = self.bar.limit * (1 if self.against is None else self.against)
        return self.bar.comparison.holds(self.value, limit)

    @property
    def measured(self) -> str:
        """Return the values in words."""
        if self.value is None:
            return ""
        value = _short(self.value)
        if self.against is None:
            return value
        ratio = self.value / self.against if self.against else float("inf")
        return f"{ratio:.2f} times: {value} to {_short(self.against)}"


def _short(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 2  # noqa: PLR2004 - three digits are enough
    return f"{value:,.{digits}f}"


def newest_first(results: Mapping[str, Result], kind: str) -> Iterator[tuple[str, Result]]:
    """Return the finished results of a kind, the newest first."""
    of_kind = [
        (name, result)
        for name, result in results.items()
        if kind_of(name, result) == kind and result.get("finished", True)
    ]
    yield from sorted(of_kind, key=lambda each: (str(each[1]["date"]), each[0]), reverse=True)


def kind_of(name: str, result: Result) -> str | None:
    """Return the kind of a result; those of `make soak` are known by their names."""
    return "soak" if name.startswith("soak-") else result.get("kind")


def judged(bar: Bar, results: Mapping[str, Result]) -> Verdict:
    """Hold a bar against the newest result file that has all it compares."""
    for name, result in newest_first(results, bar.figure.kind):
        value = bar.figure.of(result)
        against = None if bar.against is None else bar.against.of(result)
        if value is not None and (bar.against is None or against is not None):
            return Verdict(bar, value, against, name)
    return Verdict(bar)


RATE: Final = "events_per_s"
CPU: Final = "cpu_us_per_event"
RSS: Final = "peak_rss_mib"


def throughput(
    contender: str,
    metric: str = RATE,
    *,
    events: int = 300_000,
    zipf: float | None = None,
    duplicates: float = 0.3,
    products: int = 20_000,
) -> Figure:
    """Return the median of a contender's rounds on one input."""
    wanted = {"events": events, "zipf": zipf, "duplicates": duplicates, "products": products}

    def of(result: Result) -> float | None:
        workload = result["workload"]
        if any(workload[name] != value for name, value in wanted.items()):
            return None
        return contender_median(result, contender, metric)

    return Figure("throughput", of)


def contender_median(result: Result, contender: str, metric: str) -> float | None:
    """Return the median of a contender; None when it is not there or has no figures."""
    for each in result["contenders"]:
        if each["name"] == contender and each["summary"]:
            return float(each["summary"][metric]["median"])
    return None


def sink(contender: str) -> Figure:
    """Return the rate of a sink."""
    return Figure("sink", lambda result: contender_median(result, contender, RATE))


def known_products(products: int, metric: str = RATE) -> Figure:
    """Return a figure of a worker that knows all of so many products."""

    def of(result: Result) -> float | None:
        for each in result["products"]:
            if each["products"] == products and each["summary"]:
                return float(each["summary"][metric]["median"])
        return None

    return Figure("scale", of)


def recovery(products: int, start: str, of_start: Callable[[Result], float | None]) -> Figure:
    """Return the median over the starts of a kind: `directory_lost` or `directory_intact`."""

    def of(result: Result) -> float | None:
        found = result.get("recovery")
        if not found or found["products"] != products:
            return None
        values = [value for each in found[start] if (value := of_start(each)) is not None]
        return float(median(values)) if values else None

    return Figure("scale", of)


def latency(rate: int, percentile: str, guarantee: str = "exactly_once") -> Figure:
    """Return a percentile of the latency at a rate, in milliseconds."""

    def of(result: Result) -> float | None:
        for each in result["latencies"]:
            if (each["guarantee"], each["events_per_s"]) == (guarantee, rate):
                return float(each[percentile])
        return None

    return Figure("latency", of)


def soak(of_soak: Callable[[Result], float]) -> Figure:
    """Return a figure of a soak of half an hour or more."""
    half_an_hour = 1800

    def of(result: Result) -> float | None:
        return of_soak(result) if result["arguments"]["seconds"] >= half_an_hour else None

    return Figure("soak", of)
