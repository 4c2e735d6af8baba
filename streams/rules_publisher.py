"""Telling the session workers of a rule."""

from __future__ import annotations

from msgspec.structs import replace

from cuepoint.schemas.rules import AdRule
from cuepoint.schemas.topics import AD_RULES, PLAYER_EVENTS
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.producer import AsyncProducer


async def publish_rule(producer: AsyncProducer, rule: AdRule) -> None:
    """Write the version into every partition of the player events, where it holds from then on, and then, with its
    places there, to ad-rules. Harmless to repeat. Raises Unavailable; then it may hold in some of the partitions.
    """
    id = f"{rule.rule_id}:{rule.version}"
    placed = await producer.broadcast(Outgoing(PLAYER_EVENTS, rule.rule_id, replace(rule, offsets={}), id))
    offsets = {str(partition): offset for partition, offset in sorted(placed.items())}
    await producer.deliver([Outgoing(AD_RULES, rule.rule_id, replace(rule, offsets=offsets), id)])
