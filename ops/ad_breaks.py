"""Breaks of a session: promised when a video begins, filled when the player asks, by what the session has become."""

from __future__ import annotations

import asyncio
import time
from typing import Literal, NamedTuple

import msgspec

from cuepoint.models.break_plan import PlannedBreak, plan_breaks
from cuepoint.models.line_item_select import Slot, eligible, hls_url
from cuepoint.models.vast_document import OVERLAY_TYPES
from cuepoint.models.vast_read import ForeignAd, Trackers
from cuepoint.ops.ad_handout import HandOut, Taker
from cuepoint.ops.outside_ads import OutsideAds
from cuepoint.ops.settings import Settings
from cuepoint.ops.viewer_stamps import Watched, read_watched
from cuepoint.schemas.ads import Creative, LineItem
from cuepoint.schemas.media import Video
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.rules import AdFormat, AdRule, AdType
from cuepoint.streams.ad_store import AdStore
from cuepoint.streams.decision_feed import DecisionFeed
from cuepoint.streams.document_store import ORDERS, VIDEOS, DocumentStore
from cuepoint.streams.rule_store import RuleStore

_NEAR_S = 5.0  # a decision so near to a promised place is that break's
_POLL_S = 0.02


class Watching(NamedTuple):
    """What a player says of the video it opens and of its viewer; ``told``: by whom the session's events are told."""

    video_id: str
    duration_s: float | None
    facts: dict[str, str | float | bool]
    viewer: str
    told: Literal["player", "server"]


class Promise(msgspec.Struct, frozen=True):
    """What a player was told of a break, and what was known then."""

    rule_id: str
    video_id: str
    position_s: float | None
    at: str
    format: AdFormat
    length_s: float
    settled: bool
    repeats: bool
    facts: dict[str, str | float | bool]
    viewer: str
    told: str


class FilledAd(msgspec.Struct, frozen=True):
    """An ad of a break."""

    line_item_id: str
    title: str
    advertiser: str
    creative: Creative
    beside: Trackers = Trackers()  # whom else to tell, of an ad that an outside server gave


class Filled(msgspec.Struct, frozen=True):
    """A break as it is played. ``break_id`` is that of this occurrence."""

    break_id: str
    rule_id: str
    decision_id: str
    told: str
    ads: list[FilledAd]


_promise = msgspec.json.Decoder(Promise).decode
_filled = msgspec.json.Decoder(Filled).decode


class AdBreaks:
    """Any replica serves any session: what one must remember is in Redis. Methods raise Unavailable."""

    def __init__(  # noqa: PLR0917
        self,
        settings: Settings,
        documents: DocumentStore,
        rules: RuleStore,
        store: AdStore,
        handout: HandOut,
        feed: DecisionFeed,
    ) -> None:
        self._settings, self._documents, self._rules, self._store = settings, documents, rules, store
        self._handout, self._feed = handout, feed
        self._outside = OutsideAds(settings)
        self._known: tuple[float, list[AdRule], list[LineItem]] = (float("-inf"), [], [])

    async def plan(self, session_id: str, watching: Watching) -> list[PlannedBreak]:
        """What rules promise of the video, remembered under the session."""
        video_id, duration_s = watching.video_id, watching.duration_s
        video = await asyncio.to_thread(self._documents.get, VIDEOS, video_id) or Video(video_id=video_id)
        if video.duration_s is None and duration_s is not None:
            video = msgspec.structs.replace(video, duration_s=duration_s)
        rules, _ = await self._current()
        planned = plan_breaks(rules, video, watching.facts, _now_ms())
        own = {each.break_id: _promised(each, watching) for each in planned}
        await self._store.promise(session_id, own)
        return planned

    async def fill(self, session_id: str, break_id: str, *, hls: bool) -> Filled | None:
        """The break's ads, the same at each asking (but for one that repeats), by the promise or by the decision for
        the same place; None for a break nobody promised or decided. A promised break whose rule is gone, or that the
        session did not earn, has none."""
        raw = await self._store.promised(session_id, break_id)
        promise = None if raw is None else _promise(raw)
        occurrence = break_id
        if promise is not None and promise.repeats:
            occurrence = f"{break_id}.{await self._store.occurrence(session_id, break_id)}"
        kind = f"{occurrence}:hls" if hls else occurrence
        if (known := await self._store.kept(session_id, kind)) is not None:
            return _filled(known)
        if promise is None:
            decision = await self._decided(session_id, break_id)
            if decision is None:
                return None
            if (known := await self._promised_for(session_id, decision, hls=hls)) is not None:
                return _filled(known)
            promise = _of_decision(decision, read_watched(await self._store.watched(session_id)) or Watched())
        else:
            decision = await self._decision_for(session_id, promise)
            by_decision = None if decision is None else await self._store.kept(session_id, _kind(decision, hls=hls))
            if by_decision is not None:
                return _filled(by_decision)
        ads = await self._choose(session_id, occurrence, promise, decision, hls=hls)
        filled = Filled(occurrence, promise.rule_id, decision.decision_id if decision else "", promise.told, ads)
        if not ads:
            return filled  # not kept: the session may still earn it, and who looks ahead must not spoil it
        kept = await self._store.keep(session_id, kind, msgspec.json.encode(filled))
        if decision is not None and decision.decision_id != break_id:
            await self._store.keep(session_id, _kind(decision, hls=hls), kept)
        return _filled(kept)

    async def _choose(
        self, session_id: str, break_id: str, promise: Promise, decision: AdDecision | None, *, hls: bool
    ) -> list[FilledAd]:
        rules, items = await self._current()
        withdrawn = decision is None and all(rule.rule_id != promise.rule_id for rule in rules)
        if withdrawn or (decision is None and not promise.settled):
            return []
        length_s = decision.duration_s if decision is not None else promise.length_s
        ad = decision.format if decision is not None else promise.format
        length_s += self._settings.ad_length_slack_s
        most_ads = min(ad.pod_ads, self._settings.ads_per_break)
        slot = Slot(ad.type, length_s, most_ads, hls, ad.category, ad.ad_id)
        facts = promise.facts | {"video_id": promise.video_id}
        outside = self._outside.wanted and ad.type not in OVERLAY_TYPES
        if outside and self._settings.ad_server_first and (theirs := await self._theirs(promise, slot)):
            return theirs
        now_ms = _now_ms()
        candidates = eligible(items, slot, facts, now_ms)
        decision_id = decision.decision_id if decision is not None else ""
        taker = Taker(session_id, break_id, promise.rule_id, decision_id, promise.viewer)
        chosen = await self._handout.take(candidates, slot, taker, now_ms)
        if not chosen and outside and not self._settings.ad_server_first:
            return await self._theirs(promise, slot)
        return [
            FilledAd(each.item.line_item_id, each.item.name, each.item.advertiser, each.creative) for each in chosen
        ]

    async def _theirs(self, promise: Promise, slot: Slot) -> list[FilledAd]:
        """What the outside ad server has for the slot."""
        answer = await self._outside.ask(promise.video_id, slot.length_s)
        ads = [_foreign(ad, number, slot.type) for number, ad in enumerate(answer.ads[: slot.most_ads], 1)]
        return [ad for ad in ads if not slot.hls or hls_url(ad.creative) is not None]

    async def _decision_for(self, session_id: str, promise: Promise) -> AdDecision | None:
        """The session's decision that this break stands for. One that depends on the session is waited for a little:
        the player asks at the moment at which the event that decides it is on its way."""
        wait_s = 0.0 if promise.settled else self._settings.ad_decision_wait_s
        deadline = time.monotonic() + wait_s
        while True:
            for decision in reversed(await self._feed.read(session_id)):
                if _same_place(decision, promise):
                    return decision
            if time.monotonic() >= deadline:
                return None
            await asyncio.sleep(_POLL_S)

    async def _promised_for(self, session_id: str, decision: AdDecision, *, hls: bool) -> bytes | None:
        """What a promised break was filled with that stands for the decision."""
        for break_id, raw in (await self._store.all_promised(session_id)).items():
            promise = _promise(raw)
            if not promise.repeats and _same_place(decision, promise):
                return await self._store.kept(session_id, f"{break_id}:hls" if hls else break_id)
        return None

    async def _decided(self, session_id: str, decision_id: str) -> AdDecision | None:
        found = [each for each in await self._feed.read(session_id) if each.decision_id == decision_id]
        return found[0] if found else None

    async def _current(self) -> tuple[list[AdRule], list[LineItem]]:
        """Rules and line items, at most ``ad_refresh_s`` old."""
        read_at, rules, items = self._known
        if time.monotonic() - read_at > self._settings.ad_refresh_s:
            rules = await asyncio.to_thread(self._rules.list, "active")
            items, _ = await asyncio.to_thread(self._documents.page, ORDERS)
            self._known = (time.monotonic(), rules, items)
        return rules, items


def _foreign(ad: ForeignAd, number: int, ad_type: AdType) -> FilledAd:
    creative = Creative(
        creative_id=f"outside-{number}",
        type=ad_type,
        length_s=ad.length_s,
        media=ad.media,
        click_url=ad.click_url or None,
        skip_after_s=ad.skip_after_s,
        title=ad.title,
    )
    return FilledAd("", ad.title or ad.ad_id or "outside", ad.advertiser, creative, ad.trackers)


def _kind(decision: AdDecision, *, hls: bool) -> str:
    return f"{decision.decision_id}:hls" if hls else decision.decision_id


def _same_place(decision: AdDecision, promise: Promise) -> bool:
    if (decision.rule_id, decision.video_id) != (promise.rule_id, promise.video_id):
        return False
    near = promise.position_s is not None and abs(decision.position_s - promise.position_s) <= _NEAR_S
    return promise.at != "mid" or promise.repeats or near


def _promised(each: PlannedBreak, watching: Watching) -> bytes:
    return msgspec.json.encode(
        Promise(
            rule_id=each.rule.rule_id,
            video_id=watching.video_id,
            position_s=each.position_s,
            at=each.at,
            format=each.rule.format,
            length_s=each.length_s,
            settled=each.settled,
            repeats=each.repeat_s is not None,
            facts=watching.facts,
            viewer=watching.viewer,
            told=watching.told,
        )
    )


def _of_decision(decision: AdDecision, watched: Watched) -> Promise:
    """A break that nobody promised: the session decided it, of which its starts told."""
    known = watched.facts | {name: value for name, value in decision.criteria.items() if value is not None}
    return Promise(
        rule_id=decision.rule_id,
        video_id=decision.video_id,
        position_s=decision.position_s,
        at="mid",
        format=decision.format,
        length_s=decision.duration_s,
        settled=True,
        repeats=False,
        facts=known,
        viewer=watched.viewer,
        told="player",
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
