"""How much of a line item is gone, in Redis: exact among replicas; what is not known to be complete is held back."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from redis.asyncio import Redis

from cuepoint.models.line_item_select import Chosen, Counts, Slot, fill_pod
from cuepoint.schemas.errors import Unavailable
from cuepoint.streams import ad_scripts
from cuepoint.streams.ad_store import answered, scan

_ITEMS = "cuepoint:line-items:"
_SERVED, _RESERVED, _MADE = _ITEMS + "served", _ITEMS + "reserved", _ITEMS + "made"
_COMPLETE, _BEGUN, _LATE = _ITEMS + "complete", _ITEMS + "begun", _ITEMS + "late"
_VIEWER = "cuepoint:viewer-day:"
_VIEWER_TTL_S, _LATE_TTL_S = 2 * 86_400, 86_400
_ROUNDS = 5
_SOME = 1000
T = TypeVar("T")


class Delivery(NamedTuple):
    """Of a line item: impressions made, and those made or reserved."""

    impressions: int
    served: int


class Taken(NamedTuple):
    """Ads reserved; ``epoch`` names the life of the counters it was done in, "" where they were not complete."""

    ads: list[Chosen]
    epoch: str


class Recount(NamedTuple):
    """What the counters should say, of the ad events before ``ends`` (by partition): impressions ``made`` by line item;
    open reservations, (line item, reservation) to when they end (ms); impressions handed out, by (day, viewer) and line
    item."""

    ends: Mapping[int, int] = {}
    made: Mapping[str, int] = {}
    reserved: Mapping[tuple[str, str], int] = {}
    viewers: Mapping[tuple[str, str], Mapping[str, int]] = {}


class AdCounters:
    """A reservation lasts ``reserve_ms``. Counts are complete from a ``restore`` on until Redis is emptied, or is
    another server process, which may have gone back to an older state; until the next one, nothing that has a goal or
    a cap is given. ``log_id`` is the incarnation of the log that offsets belong to. All methods raise Unavailable when
    Redis does not answer."""

    def __init__(self, redis: Redis, reserve_ms: int, log_id: str = "") -> None:
        self._redis, self.reserve_ms, self._log_id = redis, reserve_ms, log_id
        self._missed = False
        self._epoch, self._reserve = map(redis.register_script, (ad_scripts.EPOCH, ad_scripts.RESERVE))
        self._confirm, self._restore = map(redis.register_script, (ad_scripts.CONFIRM, ad_scripts.RESTORE))
        self._begin = redis.register_script(ad_scripts.BEGIN)
        self._restore_viewers = redis.register_script(ad_scripts.RESTORE_VIEWERS)

    async def counts(self, ids: Sequence[str], viewer: str, day: str) -> dict[str, Counts]:
        """What counts against quota and frequency now."""
        if not ids:
            return {}
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(_SERVED, list(ids))
            pipe.hmget(_viewer_key(day, viewer), list(ids))
            totals, today = await answered(pipe.execute())
        return {id: Counts(int(total or 0), int(own or 0)) for id, total, own in zip(ids, totals, today, strict=True)}

    async def take(self, candidates: Sequence[Chosen], slot: Slot, viewer: str, reservation: str, now_ms: int) -> Taken:
        """A pod whose every ad has been taken out of what is left of its line item. What others took meanwhile is
        replaced, in a few rounds at most. While counts are not complete, only of what has neither goal nor cap."""
        day = day_of(now_ms)
        taken: list[Chosen] = []
        epochs: set[str] = set()
        for _ in range(_ROUNDS):
            counts = await self.counts([each.item.line_item_id for each in candidates], viewer, day)
            wanted = fill_pod(candidates, counts, slot, taken)
            if not wanted:
                break
            epoch, won = await self._reserved(wanted, viewer, day, reservation, now_ms)
            epochs.add(epoch)
            taken += [each for each, mine in zip(wanted, won, strict=True) if mine]
            if all(won):
                break
            if not epoch:
                candidates = [each for each in candidates if not is_bounded(each)]
        return Taken(taken, epochs.pop() if len(epochs) == 1 else "")

    async def _reserved(
        self, chosen: Sequence[Chosen], viewer: str, day: str, reservation: str, now_ms: int
    ) -> tuple[str, list[bool]]:
        arguments: list[str | int] = [self._log_id, now_ms, now_ms + self.reserve_ms, _VIEWER_TTL_S, reservation]
        for each in chosen:
            quota = -1 if each.quota is None else each.quota
            frequency = -1 if each.frequency is None else each.frequency
            arguments += [each.item.line_item_id, quota, frequency]
        keys = [_COMPLETE, _SERVED, _RESERVED, _viewer_key(day, viewer)]
        epoch, *won = await answered(self._reserve(keys=keys, args=arguments))
        return epoch.decode(), [bool(mine) for mine in won]

    async def epoch(self) -> str:
        """Names the present life of the counters; "" while they are not complete."""
        found: bytes = await answered(self._epoch(keys=[_COMPLETE], args=[self._log_id]))
        return found.decode()

    async def begin_recount(self) -> str | None:
        """Before history and topic are read: a name for the recount; None where the counts are complete. They are not
        where Redis was not heard when it should have counted something."""
        if self._missed:
            await answered(self._redis.delete(_COMPLETE, _BEGUN))
            self._missed = False
        name = secrets.token_hex(8)
        return name if await answered(self._begin(keys=[_COMPLETE, _BEGUN], args=[self._log_id, name])) else None

    async def give_back(self, ads: Sequence[Chosen], reservation: str) -> None:
        """They were not handed out after all."""
        ended: dict[Any, float] = {f"{each.item.line_item_id} {reservation}": 0 for each in ads}
        if ended:
            await answered(self._redis.zadd(_RESERVED, ended, xx=True))  # the next one to reserve finds them over

    async def confirm(self, line_item_id: str, reservation: str, partition: int, offset: int) -> None:
        """The impression was made, and its event has this place in the topic. Call it once each."""
        keys = [_COMPLETE, _SERVED, _RESERVED, _MADE, _LATE]
        arguments: list[str | int] = [self._log_id, line_item_id, reservation, partition, offset, _LATE_TTL_S]
        try:
            await answered(self._confirm(keys=keys, args=arguments))
        except Unavailable:
            self._missed = True  # the topic has an impression that the counters may not have
            raise

    async def restore(self, name: str, recount: Recount) -> bool:
        """Begin with what was counted, and with the impressions confirmed since whose place is behind it; False, and
        nothing done, where another recount was faster, or Redis was emptied again since this one began."""
        for some in _chunks(_viewers(recount)):
            arguments: list[str | int] = [self._log_id, _VIEWER_TTL_S]
            for _, counts in some:
                arguments += [len(counts), *(part for pair in counts.items() for part in pair)]
            keys = [_COMPLETE, *(key for key, _ in some)]
            if not await answered(self._restore_viewers(keys=keys, args=arguments)):
                return False
        served, aside = dict(recount.made), f"{_RESERVED}:{name}"
        for some_reserved in _chunks(recount.reserved.items()):
            ends: dict[Any, float] = {f"{item} {reservation}": until for (item, reservation), until in some_reserved}
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zadd(aside, ends)
                pipe.expire(aside, 600)
                await answered(pipe.execute())
        for line_item_id, _ in recount.reserved:
            served[line_item_id] = served.get(line_item_id, 0) + 1
        arguments = [self._log_id, name, len(recount.ends), *(part for end in recount.ends.items() for part in end)]
        for line_item_id, count in served.items():
            arguments += [line_item_id, count, recount.made.get(line_item_id, 0)]
        keys = [_COMPLETE, _SERVED, _RESERVED, _MADE, _LATE, _BEGUN, aside]
        return bool(await answered(self._restore(keys=keys, args=arguments)))

    async def delivery(self, line_item_id: str) -> Delivery:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(_MADE, line_item_id)
            pipe.hget(_SERVED, line_item_id)
            seen, served = await answered(pipe.execute())
        return Delivery(int(seen or 0), int(served or 0))

    async def forget_viewer(self, viewer: str) -> int:
        """Delete the viewer's counts; returns how many keys."""
        gone: list[Any] = [key async for key in scan(self._redis, _viewer_key("*", viewer))]
        if gone:
            await answered(self._redis.delete(*gone))
        return len(gone)


def is_bounded(each: Chosen) -> bool:
    """Whether a count may keep it from being given."""
    return each.quota is not None or each.frequency is not None


def reservation_of(session_id: str, break_id: str) -> str:
    """The name under which a break's ads are reserved."""
    return f"{session_id}:{break_id}"


def day_of(at_ms: int) -> str:
    """The UTC day whose caps count.

    >>> day_of(1_543_219_200_000)
    '2018-11-26'
    """
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).strftime("%Y-%m-%d")


def _viewer_key(day: str, viewer: str) -> str:
    return f"{_VIEWER}{day}:{viewer}"


def _viewers(recount: Recount) -> Iterator[tuple[str, Mapping[str, int]]]:
    return ((_viewer_key(day, viewer), counts) for (day, viewer), counts in recount.viewers.items())


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(values)
    while some := list(islice(rest, _SOME)):
        yield some
