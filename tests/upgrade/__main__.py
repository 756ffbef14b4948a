"""Runs a rolling upgrade, forward, back and forward again: `python -m tests.upgrade --seed 7`."""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.chaos.plan import Plan
from tests.support.results import write_result
from tests.upgrade.releases import LAST_RELEASE, UnavailableError
from tests.upgrade.rolling import UpgradeReport, run


def main() -> None:
    """Exit 1 unless everything was exact, 2 if the earlier release can't be installed."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60, help="of pauses between the steps")
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--guarantee", default="exactly_once")
    parser.add_argument("--keep", type=Path, help="directory for logs and data; kept")
    parser.add_argument("--result", type=Path, metavar="FILE", help="write the reports there")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    plan = Plan(arguments.seconds, (), arguments.rate, guarantee=arguments.guarantee)
    reports: list[UpgradeReport] = []
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        with tempfile.TemporaryDirectory(prefix="dedup-upgrade-") as temporary:
            directory = (arguments.keep or Path(temporary)) / f"seed-{seed}"
            directory.mkdir(parents=True)
            try:
                report = asyncio.run(run(seed, plan, LAST_RELEASE, directory))
            except UnavailableError as error:
                sys.exit(f"Error: {error}")
        print(report, report.rows_by_headers, sep="\n")  # noqa: T201 - this is the output
        for release, lines in report.log.items():
            print(*(f"{release}: {n} x {line}" for line, n in lines.items()), sep="\n")  # noqa: T201
        print(*report.faults, sep="\n", flush=True)  # noqa: T201
        reports.append(report)
        if arguments.result is not None:
            _write(arguments.result, plan, reports)
    sys.exit(not all(report.exact and not report.faults for report in reports))


def _write(path: Path, plan: Plan, reports: Sequence[UpgradeReport]) -> None:
    found = {
        "base": asdict(LAST_RELEASE),
        "guarantee": plan.guarantee,
        "seeds": [report.seed for report in reports],
        "runs": [asdict(report) for report in reports],
    }
    what = "two workers under a feed, replaced by those of an earlier release and back"
    write_result(path, what, "tests.upgrade", "broker, feed and workers of this run", found)


if __name__ == "__main__":
    main()
