"""Which line items fill a break: targets, schedule, priority, pacing, caps, separation. Deterministic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cuepoint.models.break_plan import Facts, holds
from cuepoint.schemas.ads import Creative, LineItem
from cuepoint.schemas.rules import AdType

_SHORT = 1e-9


class Slot(NamedTuple):
    """What is to be filled: ads of ``type``, together at most ``length_s`` and ``most_ads``; ``hls``: only creatives
    with an HLS rendition; ``category``, ``ad_id``: only line items of this category, this one creative."""

    type: AdType
    length_s: float
    most_ads: int = 1
    hls: bool = False
    category: str = ""
    ad_id: str | None = None


class Counts(NamedTuple):
    """Of a line item: impressions reserved or made, and those of this viewer today."""

    total: int = 0
    viewer_day: int = 0


class Chosen(NamedTuple):
    """A creative of a line item for the break. ``quota`` (None: no bound) and ``frequency``: up to what totals the
    counters may let it in."""

    item: LineItem
    creative: Creative
    quota: int | None
    frequency: int | None


def quota_of(item: LineItem, now_ms: int) -> int | None:
    """How many impressions may have been given by now, None: as many as there are.

    Even pacing gives the share of the flight that has passed, and one more to begin with; a flight without both ends
    cannot be spread.
    """
    if item.impressions is None:
        return None
    if item.pacing == "asap" or item.starts is None or item.ends is None:
        return item.impressions
    begin_s, end_s = item.starts.timestamp(), item.ends.timestamp()
    share = min(1.0, max(0.0, (now_ms / 1000.0 - begin_s) / max(end_s - begin_s, _SHORT)))
    return min(item.impressions, math.floor(item.impressions * share) + 1)


def eligible(items: Sequence[LineItem], slot: Slot, facts: Facts, now_ms: int) -> list[Chosen]:
    """What may stand in the slot, each with its longest creative that fits; unknown facts do not hold."""
    found = []
    for item in items:
        if item.status != "active" or not _running(item, now_ms) or holds(item.criteria, facts) is not True:
            continue
        if slot.category and item.category != slot.category:
            continue
        fitting = [each for each in item.creatives if _fits(each, slot)]
        if fitting:
            best = max(fitting, key=lambda each: (each.length_s, each.creative_id))
            found.append(Chosen(item, best, quota_of(item, now_ms), item.frequency_day))
    return found


def fill_pod(
    candidates: Sequence[Chosen], counts: Mapping[str, Counts], slot: Slot, taken: Sequence[Chosen] = ()
) -> list[Chosen]:
    """The break's ads beside those ``taken`` for it already: by priority, then whose goal lags most behind, then by
    id. A line item, and each competitive group, at most once a break; none beyond its quota or frequency.
    """
    pod: list[Chosen] = []
    groups = {each.item.competitive_group for each in taken} - {""}
    ids = {each.item.line_item_id for each in taken}
    left_s = slot.length_s - sum(each.creative.length_s for each in taken)
    for each in sorted(candidates, key=lambda each: _rank(each, counts)):
        if len(taken) + len(pod) >= slot.most_ads:
            break
        item, now = each.item, counts.get(each.item.line_item_id, Counts())
        capped = (each.quota is not None and now.total >= each.quota) or (
            each.frequency is not None and now.viewer_day >= each.frequency
        )
        beside = item.line_item_id not in ids and item.competitive_group not in groups
        if not capped and beside and each.creative.length_s <= left_s + _SHORT:
            pod.append(each)
            left_s -= each.creative.length_s
            groups |= {item.competitive_group} - {""}
    return pod


def _rank(each: Chosen, counts: Mapping[str, Counts]) -> tuple[int, int, float, str]:
    total = counts.get(each.item.line_item_id, Counts()).total
    goalless = each.quota is None
    filled = total / each.quota if each.quota else float(total)
    return (each.item.priority, int(goalless), filled, each.item.line_item_id)


def _running(item: LineItem, now_ms: int) -> bool:
    begun = item.starts is None or item.starts.timestamp() * 1000 <= now_ms
    return begun and not (item.ends is not None and item.ends.timestamp() * 1000 <= now_ms)


def _fits(creative: Creative, slot: Slot) -> bool:
    if creative.type != slot.type or creative.length_s > slot.length_s + _SHORT:
        return False
    if slot.ad_id is not None and slot.ad_id not in (creative.creative_id, creative.ad_id):
        return False
    if slot.hls:
        return hls_url(creative) is not None
    return bool(creative.media) or creative.image_url is not None


def hls_url(creative: Creative) -> str | None:
    """The creative's HLS rendition."""
    kinds = ("application/vnd.apple.mpegurl", "application/x-mpegurl")
    return next((media.url for media in creative.media if media.media_type.lower() in kinds), None)
