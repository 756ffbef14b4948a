"""aiokafka: three answers of brokers come as UnknownError, which says nothing.

GROUP_MAX_SIZE_REACHED and FENCED_INSTANCE_ID are answers to a member that joins a group, and
INVALID_RECORD to a producer, such as for a record without a key on a compacted topic. None of the
three is cured by a retry, and a program can't tell them from an answer that may be.

Exits with 0 while aiokafka has the fault, with 1 when it has mended a part. Needs no broker.
"""

import sys
from typing import Final

from aiokafka.errors import UnknownError, for_code

NAMES: Final = {81: "GROUP_MAX_SIZE_REACHED", 82: "FENCED_INSTANCE_ID", 87: "INVALID_RECORD"}


def main() -> int:
    """Return the exit status."""
    for code, name in NAMES.items():
        print(f"{code} {name}: {for_code(code).__name__}")
    return 0 if all(for_code(code) is UnknownError for code in NAMES) else 1


if __name__ == "__main__":
    sys.exit(main())
