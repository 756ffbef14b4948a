"""Reads an id that was given to a command."""

import click

from dedup.core.keys import Id
from dedup.rules import codec_of
from dedup.settings import Settings


def id_of(settings: Settings, text: str) -> Id:
    """Return the id of a text. Raises BadParameter where the entity has no such ids."""
    entity = settings.entity
    found = codec_of(settings).keys.from_text(text.encode("utf-8", "surrogateescape"))
    if found is None:
        raise click.BadParameter(f"{text!r} is no {entity.id} of the entity {entity.name}.")
    return found
