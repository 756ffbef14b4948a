"""The fingerprint: a short digest that is equal exactly when the content is.

Canonical form, version 1: the chosen content fields in normal form and in the order of
`CONTENT_FIELDS`, as one compact JSON array in UTF-8, for example
`["Laptop Pro",null,"1299.99",25,"0.00"]`. The digest is BLAKE2b with 16 bytes: cryptographic, so
nobody who writes events can craft two contents that are taken for one.

Layout, 21 bytes: version (1), digest of the names of the chosen fields (4), digest of the content
(16). Fingerprints of different versions or field choices differ in their first five bytes and are
never compared: the fingerprint of the state is recomputed from its row.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from itertools import combinations
from operator import attrgetter
from typing import Any, Final

import msgspec

from dedup.core.event import CONTENT_FIELDS, NormalProduct

VERSION: Final = 1
SCHEME_BYTES: Final = 5
FINGERPRINT_BYTES: Final = 21

_encode: Final = msgspec.json.Encoder().encode


def scheme_prefix(fields: Sequence[str]) -> bytes:
    """Return what the fingerprints of these content fields begin with."""
    names = blake2b(",".join(fields).encode(), digest_size=SCHEME_BYTES - 1).digest()
    return bytes([VERSION]) + names


def fingerprint_of(prefix: bytes, canonical: bytes) -> bytes:
    """Return the fingerprint of content in canonical form."""
    return prefix + blake2b(canonical, digest_size=16).digest()


class FingerprintScheme:
    """How content becomes a fingerprint: the version and the chosen content fields.

    `fields` may come in any order; an empty or unknown choice is a ValueError.
    """

    def __init__(self, fields: Sequence[str] = CONTENT_FIELDS) -> None:
        unknown = set(fields) - set(CONTENT_FIELDS)
        if unknown or not fields:
            raise ValueError(f"content fields are chosen from {', '.join(CONTENT_FIELDS)}")
        self.fields = tuple(f for f in CONTENT_FIELDS if f in fields)
        self.prefix = scheme_prefix(self.fields)
        self._content: Callable[[NormalProduct], Any] = attrgetter(*self.fields)

    def __eq__(self, other: object) -> bool:
        """Tell whether the version and the chosen fields are the same."""
        return isinstance(other, FingerprintScheme) and other.prefix == self.prefix

    def __hash__(self) -> int:
        """Return the hash that belongs to `__eq__`."""
        return hash(self.prefix)

    def fingerprint(self, product: NormalProduct) -> bytes:
        """Return the fingerprint of a product that has every chosen field, in normal form."""
        content = self._content(product)
        canonical = _encode(content if len(self.fields) > 1 else [content])
        return fingerprint_of(self.prefix, canonical)

    def matches(self, fingerprint: bytes) -> bool:
        """Tell whether a fingerprint is of this version and field choice."""
        return fingerprint.startswith(self.prefix)


def scheme_of(fingerprint: bytes) -> FingerprintScheme | None:
    """Return the scheme that made a fingerprint; None when no choice of fields has its names."""
    return _schemes().get(fingerprint[:SCHEME_BYTES])


@cache
def _schemes() -> Mapping[bytes, FingerprintScheme]:
    """Return the schemes of all choices of the content fields, by what fingerprints begin with."""
    sizes = range(1, len(CONTENT_FIELDS) + 1)
    schemes = [FingerprintScheme(c) for size in sizes for c in combinations(CONTENT_FIELDS, size)]
    return {scheme.prefix: scheme for scheme in schemes}
