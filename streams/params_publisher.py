"""Telling the trend workers of hyperparameters."""

from __future__ import annotations

from cuepoint.schemas.topics import TREND_PARAMS, TREND_RECORDS
from cuepoint.schemas.trends import TrendHyperparameters
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.producer import AsyncProducer


async def publish_params(producer: AsyncProducer, message: TrendHyperparameters) -> None:
    """Write the version into every partition of the trend records, where it is taken up in its place, and then to
    trend-params. Raises Unavailable; then it may stand in some of the partitions, until the next version stands in all:
    that has the same number and holds, being made later."""
    key = str(message.version)
    id = f"{key}:{message.made_at}"
    await producer.broadcast(Outgoing(TREND_RECORDS, key, message, id))
    await producer.deliver([Outgoing(TREND_PARAMS, key, message, id)])
