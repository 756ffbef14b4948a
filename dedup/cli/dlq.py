"""`dedup dlq`: lists, shows and re-submits dead letters."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from dedup.core.dead_letter import Reason

if TYPE_CHECKING:
    from dedup.core.decide import Position
    from dedup.dlq.correction import Assignment
    from dedup.inspection.replay_dry_run import DryRunResult

_EXIT_CODES: Final = """\b
Exit codes:
  0    done, also when no dead letter was found
  1    it failed or was not confirmed; stderr says why
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

    def convert(self, value: Any, param: Any, ctx: Any) -> "Position":
        """Parse it; a wrong value is a usage error."""
        from dedup.core.decide import Position

        partition, _, offset = str(value).partition(":")
        if not all(part.isascii() and part.isdigit() for part in (partition, offset)):
            self.fail(f"{value!r} is not PARTITION:OFFSET, such as 0:17.", param, ctx)
        return Position(int(partition), int(offset))


class _Assignment(click.ParamType):
    """PATH=VALUE."""

    name = "path=value"

    def convert(self, value: Any, param: Any, ctx: Any) -> "Assignment":
        """Parse it; a wrong value is a usage error."""
        from dedup.dlq.correction import Assignment

        try:
            return Assignment.read(str(value))
        except ValueError:
            self.fail(f"{value!r} is not PATH=VALUE, such as product.price=12.00.", param, ctx)


_reason = click.option(
    "--reason",
    type=click.Choice([r.value for r in Reason]),
    help="Only dead letters with this reason.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(epilog=_EPILOG)
def dlq() -> None:
    """List, show and re-submit dead letters.

    A dead letter is an event that could not be applied.
    """


@dlq.command(
    "list",
    epilog=f"""\b
Examples:
  dedup dlq list
  dedup dlq list --reason key_mismatch --limit 5
  dedup dlq list --json > dead-letters.jsonl

{_EXIT_CODES}""",
)
@_reason
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Print at most this many, the newest.",
)
@_json
def list_(reason: str | None, limit: int, as_json: bool) -> None:
    """Print the newest dead letters, the newest last; with --json an object on each line."""
    from dedup.dlq import selection
    from dedup.terminal.command import run
    from dedup.terminal.dead_letters import show_dead_letters

    letters, found = run(lambda settings: selection.newest(settings, reason, limit))
    if as_json:
        for letter in letters:
            click.echo(json.dumps(letter.summary()))
    elif letters:
        show_dead_letters(letters)
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

    Characters that a terminal can't show are printed as escapes, such as \x1b. The JSON has the
    bytes in base64.
    """
    from dedup.core.decide import Position
    from dedup.dlq import selection
    from dedup.terminal.command import run
    from dedup.terminal.dead_letters import show_dead_letter

    letter = run(lambda settings: selection.dead_letter_at(settings, Position(partition, offset)))
    if as_json:
        click.echo(json.dumps(letter.details()))
    else:
        show_dead_letter(letter)


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
@click.option("--all", "everything", is_flag=True, help="All that were not re-submitted before.")
@click.option("--key", help="Re-submit the event with this key, the product_id.")
@click.option(
    "--value",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Re-submit the event with the bytes of this file as its value; - reads stdin.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    type=_Assignment(),
    metavar="PATH=VALUE",
    help="Set a value, JSON or else text, in the event: product.price=12.00.",
)
@click.option("--dry-run", is_flag=True, help="Print the decisions; send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@_json
def replay(  # noqa: PLR0913 - one for each option
    *,
    positions: tuple["Position", ...],
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

    Each event is sent with its original key, value and headers to the partition it came from. That
    helps when the cause is fixed: a setting was corrected, the worker was updated, or the product
    of a partial event is known now. An event that still can't be applied, such as an event without
    a key, is a dead letter again: correct it with --key, --value and --set. With another key it
    goes to the partition of that product. --dry-run prints the decision on each event.

    A re-submitted dead letter is marked on KAFKA_DLQ_TOPIC, in one transaction with the event.
    --all and --reason skip it from then on; to send it again, name its position: its event is then
    a duplicate, or stale.
    """
    from dedup.dlq import selection
    from dedup.dlq.correction import Correction
    from dedup.inspection import replay_dry_run
    from dedup.terminal.command import run

    if (bool(positions), reason is not None, everything).count(True) != 1:
        raise click.UsageError("Give one of: PARTITION:OFFSET ..., --reason REASON, --all.")
    if len(positions) != 1 and not (key is None and value is None):
        raise click.UsageError("--key and --value are for one PARTITION:OFFSET.")
    if value == "-" and not (yes or dry_run):
        raise click.UsageError("--value - needs --yes: the answer can't be read from stdin too.")
    selected = selection.Selection(frozenset(positions), reason)
    correction = Correction(
        None if key is None else key.encode("utf-8", "surrogateescape"),
        None if value is None else _read(value),
        assignments,
    )
    # Asked between two event loops: inside one, Ctrl-C would not end the prompt.
    found = run(lambda settings: selection.find(settings, selected))
    if dry_run:
        results = run(lambda s: replay_dry_run.dry_run(s, selected, found, correction))
        _print_dry_run(results, as_json)
        return
    if found.count and not yes:
        again = f", {found.again:,} of them once more" if found.again else ""
        click.confirm(f"Re-submit {_dead_letters(found.count)}{again}?", abort=True, err=True)
    count = 0
    if found.count:
        count = run(lambda settings: selection.replay(settings, selected, found, correction))
    text = f"Re-submitted {_dead_letters(count)}."
    click.echo(json.dumps({"replayed": count}) if as_json else text)
    if found.left_out:
        click.echo(
            f"{_dead_letters(found.left_out)} left out: re-submitted before. Name their positions "
            "to send them again.",
            err=True,
        )


def _read(path: str) -> bytes:
    try:
        with click.open_file(path, "rb") as file:
            return bytes(file.read())
    except OSError as error:
        raise click.BadParameter(f"{path} can't be read: {error}.") from error


def _print_dry_run(results: Iterable["DryRunResult"], as_json: bool) -> None:
    from dedup.inspection.decided_events import decision_json
    from dedup.terminal.console import console
    from dedup.terminal.decisions import decision_line

    for event, decided in results:
        position = event.dead_letter.position
        if as_json:
            click.echo(json.dumps({"position": position} | decision_json(decided)))
        else:
            console().print(decision_line(decided, position=position))


def _dead_letters(count: int) -> str:
    return "1 dead letter" if count == 1 else f"{count:,} dead letters"
