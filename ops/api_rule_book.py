"""Storing a rule and telling the session workers: SQL first, then the topics."""

from __future__ import annotations

import asyncio
import logging
import time

from msgspec.structs import replace

from cuepoint.ops.api_problems import Problem
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.rules import AdRule
from cuepoint.streams.producer import AsyncProducer
from cuepoint.streams.rule_store import RuleConflict, RuleStore
from cuepoint.streams.rules_publisher import publish_rule

_GRACE_MS = 10_000
_log = logging.getLogger("cuepoint.api")


class RulePublisher:
    """Writes rules. A version whose publication failed is published when the broker is back, and holds from there."""

    def __init__(self, store: RuleStore, producer: AsyncProducer, lead_ms: int) -> None:
        self._store, self._producer, self._lead_ms = store, producer, lead_ms

    def effective_at(self) -> int:
        """The earliest moment a rule accepted now may come into effect, in ms since the epoch."""
        return time.time_ns() // 1_000_000 + self._lead_ms

    async def publish(self, rule: AdRule) -> bool:
        """Tell the workers of a stored version; False where the broker does not answer (it is tried again later)."""
        try:
            await publish_rule(self._producer, rule)
        except Unavailable as error:
            _log.warning("rule %s version %d waits for the broker: %s", rule.rule_id, rule.version, error)
            return False
        await asyncio.to_thread(self._store.mark_published, rule)
        return True

    async def waits(self, rule: AdRule) -> bool:
        """Whether this version is still to be published."""
        waiting = await asyncio.to_thread(self._store.unpublished)
        return any(other.rule_id == rule.rule_id and other.version == rule.version for other in waiting)

    async def publish_waiting(self) -> None:
        """Publish what an earlier broker outage or crash left; the caller repeats this."""
        due = time.time_ns() // 1_000_000 - _GRACE_MS  # younger ones the request that stored them may be publishing now
        waiting = [rule for rule in await asyncio.to_thread(self._store.unpublished) if rule.effective_at <= due]
        if not waiting or not await self._producer.answers():
            return
        for rule in waiting:
            if not await self.publish(rule):
                return


def same_rule(one: AdRule, other: AdRule) -> bool:
    """Equal but for what the server sets."""
    bare = {"version": 1, "effective_at": 0, "offsets": {}}
    return replace(one, **bare) == replace(other, **bare)


def conflict(error: RuleConflict, conditional: bool) -> Problem:
    """412 for a condition that failed, 409 for a rule that exists already."""
    detail = f"The rule's current version is {error.current}."
    if conditional:
        return Problem(412, "version-conflict", detail, headers={"ETag": f'"{error.current}"'})
    return Problem(409, "rule-exists", detail)
