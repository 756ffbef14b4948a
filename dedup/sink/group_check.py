"""Checks the sink's consumer group before it joins."""

import logging
from typing import Final

from dedup.kafka.groups import check_group, is_of_another_type
from dedup.sink.settings import SinkSettings

_OTHER_MEMBERS: Final = (
    "The group SINK_GROUP=%s is not that of a sink: a share group, or one of consumers with "
    "group.protocol=consumer. What other members read does not reach the table. Stop them, or set "
    "SINK_GROUP to a name of its own."
)

logger = logging.getLogger(__name__)


async def check_sink_group(settings: SinkSettings) -> None:
    """Raise TopicError if the user may not join; warn of members that are not sinks.

    The brokers refuse a sink in a share group. They let it join consumers of the newer protocol,
    and divide the partitions between both: that is not an error that they report.
    """
    await check_group(settings)
    if await is_of_another_type(settings):
        logger.warning(_OTHER_MEMBERS, settings.SINK_GROUP)
