"""The fingerprint: a short digest that is equal exactly when the content is.

Canonical form, version 1: the chosen content fields in normal form and in the order of the
entity's model, as one compact JSON array in UTF-8, for example
`["Laptop Pro",null,"1299.99",25,"0.00"]`. The digest is BLAKE2b with 16 bytes: cryptographic, so
nobody who writes events can craft two contents that are taken for one.

Layout, 21 bytes: version (1), digest of the names of the chosen fields (4), digest of the content
(16). Fingerprints of different versions or field choices differ in their first five bytes and are
never compared: the fingerprint of the state is recomputed from its row.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

VERSION: Final = 1
SCHEME_BYTES: Final = 5
FINGERPRINT_BYTES: Final = 21
EMPTY_DIGEST: Final = blake2b(digest_size=FINGERPRINT_BYTES - SCHEME_BYTES)
"""The digest of no content: copies are updated with some."""


def scheme_prefix(fields: Sequence[str]) -> bytes:
    """Return what the fingerprints of these content fields begin with."""
    names = blake2b(",".join(fields).encode(), digest_size=SCHEME_BYTES - 1).digest()
    return bytes([VERSION]) + names


def fingerprint_of(prefix: bytes, canonical: bytes) -> bytes:
    """Return the fingerprint of content in canonical form."""
    digest = EMPTY_DIGEST.copy()
    digest.update(canonical)
    return prefix + digest.digest()
