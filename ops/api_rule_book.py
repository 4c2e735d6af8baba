"""Storing a rule and telling the session workers: SQL first, then the topic, and never a rule that is late."""

from __future__ import annotations

import asyncio
import logging
import time

from msgspec.structs import replace

from cuepoint.ops.api_problems import Problem
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.rules import AdRule
from cuepoint.schemas.topics import AD_RULES
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.producer import AsyncProducer
from cuepoint.streams.rule_store import RuleConflict, RuleStore

_GRACE_MS = 10_000
_log = logging.getLogger("cuepoint.api")


class RulePublisher:
    """Writes rules. A version that could not be published in time is published as a *new* version with a later
    ``effective_at``: an event's rules are those in effect at its receipt, and a version that appears in the past would
    make a replay decide otherwise than the workers did.
    """

    def __init__(self, store: RuleStore, producer: AsyncProducer, lead_ms: int) -> None:
        self._store, self._producer, self._lead_ms = store, producer, lead_ms

    def effective_at(self) -> int:
        """When a rule accepted now comes into effect, in ms since the epoch."""
        return time.time_ns() // 1_000_000 + self._lead_ms

    async def publish(self, rule: AdRule) -> bool:
        """Tell the workers of a stored version; False where the broker does not answer (it is tried again later)."""
        try:
            await self._producer.deliver([Outgoing(AD_RULES, rule.rule_id, rule, f"{rule.rule_id}:{rule.version}")])
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
        waiting = await asyncio.to_thread(self._store.unpublished)
        if not waiting or not await self._producer.answers():
            return  # renewing a rule for an absent broker would only pile up versions
        for rule in waiting:
            if not await self._publish_late(rule):
                return

    async def _publish_late(self, rule: AdRule) -> bool:
        if time.time_ns() // 1_000_000 < rule.effective_at + _GRACE_MS:
            return True  # the request that stored it may be publishing it now
        current = await asyncio.to_thread(self._store.get, rule.rule_id)
        if current is not None and current.version == rule.version:
            try:
                renewed = await asyncio.to_thread(self._store.put, self._later(rule), rule.version)
            except RuleConflict:
                return True  # another replica, or an editor, was quicker
            if not await self.publish(renewed):
                return False
        await asyncio.to_thread(self._store.mark_published, rule)  # a newer version stands in its place
        return True

    def _later(self, rule: AdRule) -> AdRule:
        return replace(rule, effective_at=self.effective_at())


def same_rule(one: AdRule, other: AdRule) -> bool:
    """Equal but for version and time of effect."""
    return replace(one, version=1, effective_at=0) == replace(other, version=1, effective_at=0)


def conflict(error: RuleConflict, conditional: bool) -> Problem:
    """412 for a condition that failed, 409 for a rule that exists already."""
    detail = f"The rule's current version is {error.current}."
    if conditional:
        return Problem(412, "version-conflict", detail, headers={"ETag": f'"{error.current}"'})
    return Problem(409, "rule-exists", detail)
