"""`dedup demo`: the whole system on this machine, in a minute, compared with an oracle."""

from typing import TYPE_CHECKING, Any, Final, get_args

import click

from dedup.core.window import Strategy, WindowKind

if TYPE_CHECKING:
    from dedup.demo.example import Example

_EPILOG: Final = """\b
Examples:
  dedup demo
  dedup demo --events 300000 --products 20000 --seed 7
  dedup demo --events 0 --follow
  dedup demo --example examples.orders.demo
  dedup demo --strategy distinct --window 10m

\b
Exit codes:
  0    the oracle agrees (with --follow: after Ctrl-C)
  1    it disagrees, or something failed; stderr says what
  2    wrong usage
  130  stopped by Ctrl-C before the result
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--events",
    type=click.IntRange(min=0),
    default=20_000,
    show_default=True,
    help="How many events to produce and check.",
)
@click.option(
    "--products",
    type=click.IntRange(min=1),
    default=1_000,
    show_default=True,
    help="How many products, or rows of the example, the events are about.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same counts.")
@click.option("--follow", is_flag=True, help="Then send one event every 1-3 s, until Ctrl-C.")
@click.option(
    "--example",
    default="producer.example:PRODUCTS",
    show_default=True,
    help="Which entity, events and oracle: MODULE or MODULE:ATTRIBUTE.",
)
@click.option(
    "--strategy",
    type=click.Choice(get_args(Strategy)),
    help="What a duplicate is; the events then include redeliveries and reverts (A, B, A).",
)
@click.option("--window", help="With --strategy: such as 10m, by event time; 5s by default.")
@click.option("--window-kind", type=click.Choice(get_args(WindowKind)), help="With --strategy.")
def demo(
    *,
    example: str,
    strategy: Strategy | None,
    window: str | None,
    window_kind: WindowKind | None,
    **plan: Any,
) -> None:
    """Run the whole system on this machine, and check its result.

    Starts a Kafka broker, produces events (some of them late, partial, invalid, or deletes), runs
    the worker in its own process, reads the output topic and compares it with an oracle: a
    dictionary over the produced events that shares no code with the worker. Needs the extra
    'local', but no Docker and no Java. Leaves nothing behind; the first run downloads Kafka (43
    MB).
    """
    if plan["events"] == 0 and not plan["follow"]:
        raise click.UsageError("--events 0 shows nothing without --follow.")
    from dedup.demo.run import Demo, Plan
    from dedup.terminal.command import prepare_client

    try:
        chosen = _chosen(example, strategy, window, window_kind)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    prepare_client()
    planned = Plan(plan["events"], plan["products"], plan["seed"], plan["follow"])
    if not Demo(planned, chosen).run():
        raise click.exceptions.Exit(1)


def _chosen(
    name: str, strategy: Strategy | None, window: str | None, kind: WindowKind | None
) -> "Example":
    """Return the example of the options. Raises ValueError, which says what is wrong."""
    from dedup.demo.example import choose, resolve_example

    example = resolve_example(name)
    if strategy is None:
        if window or kind:
            raise ValueError("--window and --window-kind need --strategy")
        return example
    if example.with_choice is None:
        raise ValueError(f"--strategy={strategy}: the oracle of {name} knows only latest")
    return example.with_choice(choose(strategy, window, kind))
