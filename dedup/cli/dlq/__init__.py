"""`dedup dlq`: dead letters listed, shown and re-submitted."""

import json
from typing import Any, Final

import click

from dedup.core.deadletter import Reason

_EXIT_CODES: Final = """\b
Exit codes:
  0    done, also when no dead letter was found
  1    it failed or was not confirmed; a sentence on stderr says why
  2    wrong usage
  130  stopped by Ctrl-C
"""

_EPILOG: Final = f"""\b
Examples:
  dedup dlq list --reason invalid_json
  dedup dlq show 0 17
  dedup dlq replay 0:17 2:5
  dedup dlq list --json | jq .reason | sort | uniq -c

{_EXIT_CODES}
The topic is KAFKA_DLQ_TOPIC (products.dlq) at KAFKA_BOOTSTRAP_SERVERS.
"""


class _Position(click.ParamType):
    """PARTITION:OFFSET."""

    name = "partition:offset"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Read it, or fail as click wants it."""
        partition, _, offset = str(value).partition(":")
        if not all(part.isascii() and part.isdigit() for part in (partition, offset)):
            self.fail(f"{value!r} is not PARTITION:OFFSET, such as 0:17.", param, ctx)
        return int(partition), int(offset)


_reason = click.option(
    "--reason", type=click.Choice([r.value for r in Reason]), help="Only those with this reason."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(epilog=_EPILOG)
def dlq() -> None:
    """List, show and re-submit dead letters: events that could not be applied."""


@dlq.command(
    "list",
    epilog=f"""\b
Examples:
  dedup dlq list
  dedup dlq list --reason key_mismatch --limit 5
  dedup dlq list --json > letters.jsonl

{_EXIT_CODES}""",
)
@_reason
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many at most, the newest.",
)
@_json
def list_(reason: str | None, limit: int, as_json: bool) -> None:
    """Print the newest dead letters, the newest last; with --json an object on each line."""
    from dedup.cli.dlq import choosing, display  # noqa: PLC0415 - aiokafka is slower than --help
    from dedup.cli.environment import run  # noqa: PLC0415 - as above

    letters, found = run(lambda settings: choosing.newest(settings, reason, limit))
    if as_json:
        for letter in letters:
            click.echo(json.dumps(letter.summary()))
    elif letters:
        display.show_table(letters)
    if found > len(letters):
        click.echo(f"The newest {len(letters):,} of {found:,}; --limit shows more.", err=True)
    elif not found:
        click.echo("There are no dead letters.", err=True)


@dlq.command(
    epilog=f"""\b
Examples:
  dedup dlq show 0 17
  dedup dlq show 0 17 --json | jq -r .value_base64 | base64 -d > event.json

{_EXIT_CODES}"""
)
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
@_json
def show(partition: int, offset: int, as_json: bool) -> None:
    r"""Print everything about the dead letter at PARTITION OFFSET.

    What a terminal can't show is printed as an escape, such as \x1b. The bytes themselves are in
    the JSON, in base64.
    """
    from dedup.cli.dlq import choosing, display  # noqa: PLC0415 - as above
    from dedup.cli.environment import run  # noqa: PLC0415 - as above

    letter = run(lambda settings: choosing.letter_at(settings, (partition, offset)))
    if as_json:
        click.echo(json.dumps(letter.details()))
    else:
        display.show_letter(letter)


@dlq.command(
    epilog=f"""\b
Examples:
  dedup dlq replay 0:17 2:5
  dedup dlq replay --reason partial_without_state --yes
  dedup dlq replay --all

{_EXIT_CODES}"""
)
@click.argument("positions", nargs=-1, type=_Position(), metavar="[PARTITION:OFFSET]...")
@_reason
@click.option("--all", "everything", is_flag=True, help="All dead letters there are.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@_json
def replay(
    positions: tuple[tuple[int, int], ...],
    reason: str | None,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Re-submit dead letters to KAFKA_PRODUCT_TOPIC, unchanged, and print how many.

    It helps when the cause is gone: a setting was corrected, the worker was updated, or the product
    of a partial event is known now. Nothing is repaired on the way: what still can't be applied,
    such as an event without a key, is a dead letter again. The dead letter itself stays where it
    is. To replay one twice is harmless: its event is a duplicate, or late, by then.

    Each goes to the partition of its key (one without a key to the one it came from), with the key,
    the value and the headers that it came with.
    """
    from dedup.cli.dlq import choosing  # noqa: PLC0415 - as above
    from dedup.cli.environment import run  # noqa: PLC0415 - as above

    if (bool(positions), reason is not None, everything).count(True) != 1:
        raise click.UsageError("Give one of: PARTITION:OFFSET ..., --reason REASON, --all.")
    choice = choosing.Choice(frozenset(positions), reason)

    # Asked between two runs of the loop: inside one, Ctrl-C would not end the question.
    count, spans = run(lambda settings: choosing.find(settings, choice))
    if count and not yes:
        click.confirm(f"Re-submit {_letters(count)}?", abort=True, err=True)
    if count:
        count = run(lambda settings: choosing.replay(settings, choice, spans))
    click.echo(json.dumps({"replayed": count}) if as_json else f"Re-submitted {_letters(count)}.")


def _letters(count: int) -> str:
    return "1 dead letter" if count == 1 else f"{count:,} dead letters"
