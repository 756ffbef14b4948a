"""`dedup dlq`: dead letters listed, shown and re-submitted."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from dedup.core.deadletter import Reason

if TYPE_CHECKING:
    from dedup.dlq.mending import Assignment
    from dedup.dlq.trying import Trial

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
  dedup dlq replay 0:17 --set product.price=12.00
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


class _Assignment(click.ParamType):
    """PATH=VALUE."""

    name = "path=value"

    def convert(self, value: Any, param: Any, ctx: Any) -> "Assignment":
        """Read it, or fail as click wants it."""
        from dedup.dlq.mending import Assignment  # noqa: PLC0415 - slower than --help may be

        try:
            return Assignment.read(str(value))
        except ValueError:
            self.fail(f"{value!r} is not PATH=VALUE, such as product.price=12.00.", param, ctx)


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
    from dedup.dlq import selection  # noqa: PLC0415 - aiokafka is slower than --help
    from dedup.terminal import dead_letters  # noqa: PLC0415 - aiokafka is slower than --help
    from dedup.terminal.command import run  # noqa: PLC0415 - as above

    letters, found = run(lambda settings: selection.newest(settings, reason, limit))
    if as_json:
        for letter in letters:
            click.echo(json.dumps(letter.summary()))
    elif letters:
        dead_letters.show_table(letters)
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
    from dedup.dlq import selection  # noqa: PLC0415 - as above
    from dedup.terminal import dead_letters  # noqa: PLC0415 - as above
    from dedup.terminal.command import run  # noqa: PLC0415 - as above

    letter = run(lambda settings: selection.letter_at(settings, (partition, offset)))
    if as_json:
        click.echo(json.dumps(letter.details()))
    else:
        dead_letters.show_letter(letter)


@dlq.command(
    epilog=f"""\b
Examples:
  dedup dlq replay 0:17 2:5
  dedup dlq replay 0:17 --set product.price=12.00 --set 'event_id="7"' --dry-run
  dedup dlq replay 0:17 --key 42 --value event.json
  dedup dlq replay --reason partial_without_state --yes
  dedup dlq replay --all

{_EXIT_CODES}"""
)
@click.argument("positions", nargs=-1, type=_Position(), metavar="[PARTITION:OFFSET]...")
@_reason
@click.option("--all", "everything", is_flag=True, help="All that were not re-submitted yet.")
@click.option("--key", help="Re-submit it with this key, the product_id.")
@click.option(
    "--value",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Re-submit it with the bytes of this file as its value; - reads stdin.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    type=_Assignment(),
    metavar="PATH=VALUE",
    help="Put a value, JSON or else text, into the event: product.price=12.00.",
)
@click.option("--dry-run", is_flag=True, help="Say what would become of it; send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@_json
def replay(  # noqa: PLR0913 - one for each option
    *,
    positions: tuple[tuple[int, int], ...],
    reason: str | None,
    everything: bool,
    key: str | None,
    value: str | None,
    assignments: tuple["Assignment", ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Re-submit dead letters to KAFKA_PRODUCT_TOPIC, and print how many.

    Each goes with the key, the value and exactly the headers that it came with, to the partition it
    came from. That helps when the cause is gone: a setting was corrected, the worker was updated,
    or the product of a partial event is known now. What still can't be applied, such as an event
    without a key, is a dead letter again: correct it by --key, --value and --set. With another key
    it goes to the partition of that product. --dry-run prints the decision on each.

    What was re-submitted is marked on KAFKA_DLQ_TOPIC, in one transaction with the event. --all and
    --reason leave it out from then on; to send it again, name its position: its event is then a
    duplicate, or late.
    """
    from dedup.dlq import selection  # noqa: PLC0415 - as above
    from dedup.dlq.mending import Mending  # noqa: PLC0415 - as above
    from dedup.terminal.command import run  # noqa: PLC0415 - as above

    if (bool(positions), reason is not None, everything).count(True) != 1:
        raise click.UsageError("Give one of: PARTITION:OFFSET ..., --reason REASON, --all.")
    if len(positions) != 1 and not (key is None and value is None):
        raise click.UsageError("--key and --value are for one PARTITION:OFFSET.")
    if value == "-" and not (yes or dry_run):
        raise click.UsageError("--value - needs --yes: the answer can't be read from stdin too.")
    choice = selection.Choice(frozenset(positions), reason)
    mending = Mending(
        None if key is None else key.encode("utf-8", "surrogateescape"),
        None if value is None else _read(value),
        assignments,
    )
    # Asked between two runs of the loop: inside one, Ctrl-C would not end the question.
    found = run(lambda settings: selection.find(settings, choice))
    if dry_run:
        _print_trials(run(lambda s: selection.tried(s, choice, found, mending)), as_json)
        return
    if found.count and not yes:
        again = f", {found.again:,} of them once more" if found.again else ""
        click.confirm(f"Re-submit {_letters(found.count)}{again}?", abort=True, err=True)
    count = 0
    if found.count:
        count = run(lambda settings: selection.replay(settings, choice, found, mending))
    click.echo(json.dumps({"replayed": count}) if as_json else f"Re-submitted {_letters(count)}.")
    if found.left_out:
        click.echo(
            f"{_letters(found.left_out)} left out: re-submitted before. Name their positions to "
            "send them again.",
            err=True,
        )


def _read(path: str) -> bytes:
    try:
        with click.open_file(path, "rb") as file:
            return bytes(file.read())
    except OSError as error:
        raise click.BadParameter(f"{path} can't be read: {error}.") from error


def _print_trials(trials: Iterable["Trial"], as_json: bool) -> None:
    from dedup.terminal.console import console  # noqa: PLC0415 - as above

    for trial in trials:
        if as_json:
            click.echo(json.dumps(trial.as_json()))
        else:
            console().print(trial.as_line())


def _letters(count: int) -> str:
    return "1 dead letter" if count == 1 else f"{count:,} dead letters"
