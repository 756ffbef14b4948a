"""The codecs of an entity, one for each choice of settings, and the one that made a fingerprint."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final

from dedup.core.codec import Codec, UnknownActions, UnknownFields
from dedup.core.entity import Entity
from dedup.core.fingerprint import SCHEME_BYTES, scheme_prefix

_FIELDS_TRIED: Final = 8
"""Of so many content fields every choice is tried, to find the one that made a fingerprint."""


def codec_for(
    entity: Entity,
    content: Sequence[str] | None = None,
    unknown_fields: UnknownFields = "drop",
    unknown_actions: UnknownActions = "update",
) -> Codec:
    """Return the one codec of these choices: `content` in another order is the same one."""
    chosen = None if content is None else tuple(sorted(content))
    if chosen == tuple(sorted(entity.content)):
        chosen = None
    return _codec(entity, chosen, unknown_fields, unknown_actions)


@lru_cache
def _codec(
    entity: Entity,
    content: tuple[str, ...] | None,
    unknown_fields: UnknownFields,
    unknown_actions: UnknownActions,
) -> Codec:
    return Codec(entity, content, unknown_fields, unknown_actions)


def with_content_of(codec: Codec, fingerprint: bytes) -> Codec | None:
    """Return a codec with the content fields of a fingerprint; None where they are unknown.

    A fingerprint has a digest of their names only, so choices of few fields alone are found.
    """
    prefix = fingerprint[:SCHEME_BYTES]
    if prefix == codec.prefix:
        return codec
    content = _choices(codec.entity).get(prefix)
    if content is None:
        return None
    return codec_for(codec.entity, content, codec.unknown_fields, codec.unknown_actions)


@lru_cache
def _choices(entity: Entity) -> dict[bytes, tuple[str, ...]]:
    """Return choices of the content fields by what their fingerprints begin with."""
    names = entity.content
    sizes = range(1, len(names)) if len(names) <= _FIELDS_TRIED else ()
    choices = [names, *(c for size in sizes for c in combinations(names, size))]
    return {scheme_prefix(choice): choice for choice in choices}
