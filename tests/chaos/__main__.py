"""Run chaos from the command line; exit 1 unless everything was exact.

With `--brokers 3` the seed chooses everything that is not given: the strategy and its window, the
guarantee, the entity, and what is done, so that some runs in a row have all of it.
"""

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import Final, get_args

from dedup.core.window import Strategy, WindowKind
from dedup.demo.example import LATEST, Choice, choose
from tests.chaos.actions import ON_A_BROKER, ON_WORKERS
from tests.chaos.cluster import ON_A_CLUSTER
from tests.chaos.harness import ACTIONS, ON_THE_NETWORK, run
from tests.chaos.plan import Plan, choice_by, guarantee_by, other_by, some_by
from tests.chaos.report import Report, write_reports

_KINDS: Final = ((2, list(ON_A_CLUSTER)), (1, list(ON_THE_NETWORK)), (1, list(ON_WORKERS)))
"""How many of what is done on a cluster, to the brokers, to the network and to workers."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, help="3,000; on a cluster 1,000")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--workers", type=int, help="1 to 3 by the seed, if not given")
    parser.add_argument("--actions", nargs="+", choices=list(ACTIONS))
    parser.add_argument("--guarantee", choices=("exactly_once", "at_least_once"))
    parser.add_argument("--strategy", choices=get_args(Strategy), help="by the seed, if not given")
    parser.add_argument("--window", help="such as 3s; it is by the times of the feed")
    parser.add_argument("--window-kind", choices=get_args(WindowKind))
    parser.add_argument("--window-entries", type=int, default=64)
    parser.add_argument("--result", type=Path, metavar="FILE", help="write the reports there")
    arguments = parser.parse_args()
    arguments.choice = _choice(parser, arguments)
    return arguments


def _choice(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Choice | None:
    """Return the strategy of the command line; None if there is none."""
    if arguments.strategy is None:
        if arguments.window or arguments.window_kind:
            parser.error("a window needs --strategy")
        return None
    window, kind = arguments.window, arguments.window_kind
    try:
        return choose(arguments.strategy, window, kind, arguments.window_entries)
    except ValueError as error:
        parser.error(str(error))


def _plan(seed: int, arguments: argparse.Namespace) -> Plan:
    choice = arguments.choice or choice_by(seed)
    if arguments.brokers == 1:
        return Plan(
            seconds=arguments.seconds,
            actions=arguments.actions or [*ON_WORKERS, *ON_A_BROKER],
            rate=arguments.rate or 3_000,
            workers=arguments.workers,
            guarantee=arguments.guarantee or "exactly_once",
            choice=choice,
        )
    actions = arguments.actions or some_by(seed, *_KINDS)
    other = None if arguments.choice else other_by(seed)
    return Plan(
        seconds=arguments.seconds,
        actions=actions,
        rate=arguments.rate or 1_000,
        workers=arguments.workers or 2,
        brokers=3,
        network=any(action in ON_THE_NETWORK for action in actions),
        guarantee=arguments.guarantee or guarantee_by(seed),
        choice=LATEST if other else choice,
        other=other,
    )


def main() -> None:
    """Run the seeds one after another; print and write each report."""
    arguments = _arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are away on purpose
    failed = False
    reports: list[Report] = []
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        report = asyncio.run(run(seed, _plan(seed, arguments)))
        print(report, *report.faults, sep="\n", flush=True)  # noqa: T201 - this is the output
        failed |= not report.exact or bool(report.faults)
        reports.append(report)
        if arguments.result is not None:  # after each run: a later one may be interrupted
            write_reports(arguments.result, "tests.chaos", reports)
    sys.exit(failed)


if __name__ == "__main__":
    main()
