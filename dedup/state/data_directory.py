"""The data directory: used by one worker at a time, and for one pair of topics.

Guarantees: two workers never use the same directory, not even while a partition moves from one to
the other. States are never used with topics that they do not belong to: those of another cluster or
output topic are deleted and rebuilt from the topic. With those of the same topics with fewer
partitions the worker refuses to start: when a topic grows, Kafka moves products to other
partitions, away from their states.
"""

import fcntl
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from mode import get_logger

from dedup.kafka.partitioning import key_hash, partition_of_key
from dedup.state.store_errors import StoreError

LOCK_NAME: Final = "worker.lock"
ORIGIN_NAME: Final = "origin.json"

logger = get_logger(__name__)


@dataclass(frozen=True)
class Origin:
    """What the states of a directory belong to."""

    cluster: str | None
    source: str
    states: str
    partitions: int
    entity: str = "product"
    """The name of the entity; directories of versions that knew products alone do not name it."""


class DataDirectory:
    """The directory of one worker; `tables` is where its databases are."""

    def __init__(self, path: Path, tables: Path) -> None:
        self.path = path
        self._tables = tables
        self._lock: IO[bytes] | None = None

    def lock(self) -> None:
        """Lock the directory for as long as this process lives.

        Raises StoreError when another worker has the lock, OSError when it can't be written.
        """
        lock = (self.path / LOCK_NAME).open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StoreError(
                f"DEDUP_DATA_DIR={self.path} is locked by another worker. Each worker needs a data "
                "directory of its own: set DEDUP_DATA_DIR."
            ) from None
        self._lock = lock

    def unlock(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def belong_to(self, origin: Origin) -> None:
        """Ensure that the states in the directory belong to these topics. Raises StoreError."""
        try:
            self._belong_to(origin)
        except OSError as error:
            raise StoreError(
                f"DEDUP_DATA_DIR={self.path} can't be written: {error}. Set it to a directory the "
                "worker may write."
            ) from error

    def _belong_to(self, origin: Origin) -> None:
        known = self._known()
        if known is not None and known != origin:
            same_topics = (known.cluster, known.source, known.states) == (
                origin.cluster,
                origin.source,
                origin.states,
            )
            if same_topics and known.partitions < origin.partitions:
                raise StoreError(
                    f"{grown(origin.source, known.partitions, origin.partitions)} If both topics "
                    f"were recreated instead, delete {self.path}."
                )
            logger.warning(
                "The states in %s belong to %s, not to %s: they are rebuilt from the topic.",
                self.path,
                known,
                origin,
            )
            shutil.rmtree(self._tables)
            self._tables.mkdir()
        if known != origin:
            self._remember(origin)

    def _known(self) -> Origin | None:
        try:
            return Origin(**json.loads((self.path / ORIGIN_NAME).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _remember(self, origin: Origin) -> None:
        draft = self.path / f"{ORIGIN_NAME}.draft"
        draft.write_text(json.dumps(asdict(origin)))
        draft.replace(self.path / ORIGIN_NAME)


ENOUGH_KEYS: Final = 20
"""As many keys are not in the partitions of a smaller number of them by chance."""


def partitions_before(keys: Sequence[bytes], partition: int, partitions: int) -> int | None:
    """Return the number of partitions the topic had when events with these keys came to one.

    None when it is the number of today, when the keys are too few to decide, and when the producers
    do not choose partitions as Kafka's own do. One is never returned: producers may have reasons to
    write everything to the first partition.
    """
    hashes = [key_hash(key) for key in keys]
    if len(hashes) < ENOUGH_KEYS or all(h % partitions == partition for h in hashes):
        return None
    fewer = range(partitions - 1, 1, -1)
    return next((n for n in fewer if all(h % n == partition for h in hashes)), None)


def placed_by_json_key(keys: Sequence[bytes], partition: int, partitions: int) -> bool:
    """Return whether rows with these JSON keys are where Kafka's partitioner puts them.

    A Flink job puts its rows there when it does not know the partitions of the events. False for
    too few keys to decide, and for one partition, where it makes no difference.
    """
    if len(keys) < ENOUGH_KEYS or partitions == 1:
        return False
    return all(partition_of_key(key, partitions) == partition for key in keys)


def misplaced(states: str) -> str:
    """Return what to do about rows that are not in the partitions of their events."""
    return (
        f"The rows of {states} are partitioned by the hash of their JSON keys, as a Flink job "
        "writes them, and not as their events: every row would be on the topic twice. Set "
        "KAFKA_SRC_PRODUCTS_TOPIC and DEDUP_APP_ID to new names, and the rows are made from the "
        "events; or see docs/flink.md."
    )


def grown(source: str, before: int, now: int) -> str:
    """Return what to do about a source topic that has more partitions than before."""
    return (
        f"{source} has {now} partitions, and the known states are those of {before}. When a topic "
        "grows, Kafka moves keys to other partitions, away from their states. Copy the "
        "events into a new topic that has all the partitions it will need, and set "
        "KAFKA_PRODUCT_TOPIC, KAFKA_SRC_PRODUCTS_TOPIC and DEDUP_APP_ID to new names."
    )
