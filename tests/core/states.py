"""Any state that may be stored."""

from hypothesis import strategies as st

from dedup.core.fingerprint import FINGERPRINT_BYTES
from dedup.core.state import State

i64 = st.integers(-(2**63), 2**63 - 1)
states = st.builds(
    State,
    fingerprint=st.binary(min_size=FINGERPRINT_BYTES, max_size=FINGERPRINT_BYTES),
    event_time=i64,
    partition=st.integers(-1, 2**31 - 1),
    offset=st.integers(-1, 2**63 - 1),
    emitted_at=i64,
    duplicates=st.integers(0, 2**32 - 1),
    row=st.none() | st.binary(),
)
