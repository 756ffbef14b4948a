"""The tables of README and of the summary in docs/performance.md, made of result files."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from benchmarks.bar import newest_first
from benchmarks.plan import COMPARED, INPUTS, README, USUAL, Input
from benchmarks.report import figure_cell

Result = Mapping[str, Any]
Results = Mapping[str, Result]

NONE_YET: Final = "Not measured yet."
_COLUMNS: Final = {
    "events/s": "events_per_s",
    "CPU, µs/event": "cpu_us_per_event",
    "memory, MiB": "peak_rss_mib",
}
_INPUT_TITLES: Final = {
    "usual": "usual",
    "million": "1,000,000 events",
    "zipf": "Zipf",
    "new": "no duplicates",
    "known": "90 % duplicates",
}


def result_of(results: Results, wanted: Input) -> tuple[str, Result] | None:
    """Return the result of an input with most of those that are compared, the newest of these."""
    found = [
        (name, result)
        for name, result in newest_first(results, "throughput")
        if _is_of(result["workload"], wanted)
    ]
    return max(found, key=lambda each: len(_named(each[1], COMPARED)), default=None)


def _is_of(workload: Mapping[str, Any], wanted: Input) -> bool:
    mix = wanted.mix
    is_of = (wanted.events, mix.products, mix.duplicates, mix.zipf)
    return is_of == tuple(workload[name] for name in ("events", "products", "duplicates", "zipf"))


def _named(result: Result, names: Iterable[str]) -> list[Mapping[str, Any]]:
    return [each for each in result["contenders"] if each["name"] in names]


def readme(results: Results, directory: str) -> str:
    """Return the table of README, the fastest first; README is to stay short."""
    found = result_of(results, USUAL)
    if found is None:
        return NONE_YET
    name, result = found
    return (
        f"{_conditions(name, result, directory)} A round counts only if its output equals the "
        "oracle's. Only product-dedup validates events. All contenders, latency, growth, method "
        "and sizing: [Performance](docs/performance.md).\n\n"
        f"{_table(_named(result, README))}"
    )


def comparison(results: Results, directory: str) -> str:
    """Return those that are compared on the usual input, the fastest first."""
    found = result_of(results, USUAL)
    if found is None:
        return NONE_YET
    name, result = found
    return f"{_conditions(name, result, directory)}\n\n{_table(_named(result, COMPARED))}"


def _conditions(name: str, result: Result, directory: str) -> str:
    workload, machine = result["workload"], result["machine"]
    rounds = max((len(each["rounds"]) for each in result["contenders"]), default=0)
    return (
        f"{workload['events']:,} events of about {workload['bytes_per_event']} bytes, "
        f"{workload['products']:,} products, {workload['duplicates']:.0%} duplicates, on "
        f"{machine['cores']} cores shared with the broker; {_rounds(rounds)} "
        f"([result file]({directory}/{name}.md))."
    )


def _rounds(number: int) -> str:
    return "one round" if number == 1 else f"median and range of {number} rounds"


def _table(contenders: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"| | {' | '.join(_COLUMNS)} |", "|---" * (len(_COLUMNS) + 1) + "|"]
    ran = [each for each in contenders if each["summary"]]
    ran.sort(key=lambda each: -each["summary"]["events_per_s"]["median"])
    for each in ran:
        rate, *others = (each["summary"][name] for name in _COLUMNS.values())
        cells = [figure_cell(rate), *(_median(of) for of in others)]
        lines.append(f"| {each['title']} | {' | '.join(cells)} |")
    for each in contenders:
        if not each["summary"]:
            why = (each["could_not_run"] or each["failures"][0]).splitlines()[0]
            lines.append(f"| {each['title']} | no figure: {why} | | |")
    return "\n".join(lines) + "\n"


def _median(of: Mapping[str, float]) -> str:
    return figure_cell(of).partition(" ")[0]


def inputs(results: Results, directory: str) -> str:
    """Return the rates of those that are compared, on every input that was measured."""
    found = {name: result for name, each in INPUTS.items() if (result := result_of(results, each))}
    if not found:
        return NONE_YET
    heads = [f"[{_INPUT_TITLES[key]}]({directory}/{name}.md)" for key, (name, _) in found.items()]
    lines = [f"| events/s | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    of_input = [
        {each["name"]: each for each in result["contenders"]} for _, result in found.values()
    ]
    for name in COMPARED:
        known = [of[name] for of in of_input if name in of]
        if known:
            cells = [_rate(of.get(name)) for of in of_input]
            lines.append(f"| {known[0]['title']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rate(contender: Mapping[str, Any] | None) -> str:
    if contender is None:
        return ""
    if not contender["summary"]:
        return "no figure"
    return _median(contender["summary"]["events_per_s"])


def latencies(results: Results, directory: str) -> str:
    """Return the percentiles of the default worker at every rate of the newest latency result."""
    for name, result in newest_first(results, "latency"):
        lines = [
            f"Milliseconds, exactly once ([result file]({directory}/{name}.md)):\n",
            "| events/s | p50 | p99 | p99.9 |\n|---|---|---|---|",
        ]
        lines += [
            f"| {each['events_per_s']:,} | {each['p50']:.1f} | {each['p99']:.1f} "
            f"| {each['p999']:.1f} |"
            for each in result["latencies"]
            if each["guarantee"] == "exactly_once"
        ]
        return "\n".join(lines) + "\n"
    return NONE_YET


def growth(results: Results, directory: str) -> str:
    """Return rate and memory by the products known, and recovery, of the newest scale result."""
    for name, result in newest_first(results, "scale"):
        lines = [
            f"The default worker ([result file]({directory}/{name}.md)):\n",
            "| products known | events/s | CPU, µs/event | memory, MiB |\n|---|---|---|---|",
        ]
        for each in result["products"]:
            of = each["summary"]
            cells = (
                [_median(of[name]) for name in _COLUMNS.values()] if of else ["no figure", "", ""]
            )
            lines.append(f"| {each['products']:,} | {' | '.join(cells)} |")
        if lost := result.get("recovery", {}).get("directory_lost"):
            rate, products = lost[0]["rows_per_s"], result["recovery"]["products"]
            lines.append(
                f"\nIt rebuilds {products:,} products from `src_products` at {rate:,} rows/s when "
                "the disk is lost."
            )
        return "\n".join(lines) + "\n"
    return NONE_YET


_SOAKED: Final = {
    "memory, MiB": "rss_mib",
    "open files": "open_files",
    "threads": "threads",
    "RocksDB directory, MiB": "state_mib",
    "CPU, % of a core": "cpu_percent",
    "event to row, p50, ms": "latency_p50_ms",
    "event to row, p99, ms": "latency_p99_ms",
}


def soak(results: Results, directory: str) -> str:
    """Return the quarters of the newest soak, and whether anything was wrong or grew."""
    for name, result in newest_first(results, "soak"):
        faults = result["faults"]
        files, minutes = f"{directory}/{name}", result["arguments"]["seconds"] / 60
        outcome = f"{faults:,} faults" if faults else "nothing missing, nothing twice, no growth"
        introduction = (
            f"{result['events']:,} events in {minutes:.0f} minutes ([result file]({files}.json), "
            f"[plot]({files}.png)), {outcome}. Medians of samples taken every few seconds:\n"
        )
        lines = [
            introduction,
            "| | 1st quarter | 2nd | 3rd | 4th |\n|---|---|---|---|---|",
        ]
        for title, field in _SOAKED.items():
            cells = (f"{value:,.1f}" for value in result["medians_by_quarter"][field])
            lines.append(f"| {title} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"
    return NONE_YET
