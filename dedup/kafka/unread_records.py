"""What an aiokafka consumer has fetched and not handed out yet: aiokafka has no public name."""

from typing import Any

from aiokafka.consumer.fetcher import FetchResult


def unread_records(fetcher: Any, tp: Any) -> Any | None:
    """Return what a consumer has fetched of a partition and not handed out, or None.

    It is aiokafka's `PartitionRecords`: an iterator of records that keeps the fetch they are in.
    """
    fetched = fetcher._records.get(tp)
    return fetched._partition_records if isinstance(fetched, FetchResult) else None
