"""What was said of each region: ids, revisions, and what a revised day takes back (one log a partition; pure)."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from cuepoint.models import region_kernel as region
from cuepoint.models import trend_kernel as trend
from cuepoint.models.trend_bases import Rows
from cuepoint.models.trend_state import ScoredDay
from cuepoint.schemas.trends import Change

Status = Literal["opened", "updated", "closed", "withdrawn"]
_STATUS: dict[float, Status] = {region.OPENED: "opened", region.UPDATED: "updated", region.CLOSED: "closed"}


class Said(NamedTuple):
    """The last message of a region and the day it was about."""

    change: Change
    day: int


def change_id(asset_id: str, kind: str, direction: str, start: dt.date) -> str:
    """Stable: a function of what the region is, so that a replay finds the same.

    >>> change_id("a", "rapid", "up", dt.date(2018, 11, 22))
    '650a77d39c74fce54f81efac'
    """
    text = f"{asset_id}\n{kind}\n{direction}\n{start.isoformat()}"
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def changes_of(scored: ScoredDay, names: Sequence[str]) -> Iterator[tuple[int, Change]]:
    """The regions that opened, went on or closed on a day: (row, change of revision 1)."""
    for i, which in zip(*np.nonzero(scored.regions[:, :, region.STATUS]), strict=True):
        yield int(scored.rows[i]), _change(scored, int(i), int(which), names[scored.rows[i]])


def _change(scored: ScoredDay, i: int, which: int, asset_id: str) -> Change:
    r, f = scored.regions[i, which].tolist(), scored.filtered[i].tolist()
    kind: Literal["rapid", "gradual"] = "rapid" if abs(r[region.OUT_CODE]) < 1.5 else "gradual"
    direction: Literal["up", "down"] = "up" if r[region.OUT_CODE] > 0 else "down"
    start = dt.date.fromordinal(int(r[region.OUT_START]))
    count = float(scored.counts[i]) if scored.counts[i] >= 0 else None
    status = _STATUS[r[region.STATUS]]
    return Change(
        change_id=change_id(asset_id, kind, direction, start),
        revision=1,
        status=status,
        asset_id=asset_id,
        kind=kind,
        direction=direction,
        start=start,
        day=dt.date.fromordinal(scored.day),
        end=dt.date.fromordinal(int(r[region.OUT_END])) if status == "closed" else None,
        probability=min(1.0, max(0.0, r[region.OUT_PROBABILITY])),
        size_per_day=r[region.MEAN_EFFECT],
        size_percent=100.0 * r[region.MEAN_RATIO],
        count=count,
        expected=r[region.EXPECTED],
        lower_80=f[trend.LOWER_80],
        upper_80=f[trend.UPPER_80],
        lower_95=f[trend.LOWER_95],
        upper_95=f[trend.UPPER_95],
        effect=r[region.TOTAL_EFFECT],
        effect_lower_95=r[region.TOTAL_EFFECT] - 1.96 * r[region.TOTAL_ERROR],
        effect_upper_95=r[region.TOTAL_EFFECT] + 1.96 * r[region.TOTAL_ERROR],
    )


class Found:
    """What a replay finds: of each region, by row and id, the first word and the last, and the days they speak of."""

    def __init__(self) -> None:
        self.regions: dict[int, dict[str, list[tuple[Change, int]]]] = {}

    def add(self, scored: ScoredDay, names: Sequence[str]) -> None:
        """The next day (of some rows)."""
        for row, change in changes_of(scored, names):
            words = self.regions.setdefault(row, {}).setdefault(change.change_id, [])
            words[1:] = [(change, scored.day)]


class RegionLog:
    """Regions open, or whose last word falls on a day that can still be revised: row -> id -> what was said last."""

    def __init__(self) -> None:
        self.said: dict[int, dict[str, Said]] = {}

    def follow(self, scored: ScoredDay, names: Sequence[str]) -> list[Change]:
        """The messages of a newly scored day."""
        return [self._say(row, change, scored.day) for row, change in changes_of(scored, names)]

    def revise(self, groups: Sequence[tuple[int, Rows]], found: Found, names: Sequence[str]) -> list[Change]:
        """The messages that put right what was said of ``groups`` (a day, and rows that were revised from it on) where
        ``found`` is the case now: regions that are no longer found are withdrawn, others get their present content,
        new ones are opened (and closed)."""
        since = np.zeros(len(names), dtype=np.int64)
        for first, rows in groups:
            since[rows] = first
        messages = []
        for row in sorted({*found.regions, *self.said}):
            if not since[row]:
                continue
            now = found.regions.get(row, {})
            before = self.said.get(row, {})
            for key, said in list(before.items()):
                if said.day >= since[row] and key not in now and said.change.status != "withdrawn":
                    gone = msgspec.structs.replace(said.change, status="withdrawn", end=None)
                    messages.append(self._say(row, gone, said.day))
            for key, words in now.items():
                messages += self._put_right(row, words, before.get(key))
        return messages

    def forget(self, before: int) -> None:
        """Drop what can no longer be revised: closed or withdrawn, last word on a day up to ``before``."""
        for row, regions in list(self.said.items()):
            for key, said in list(regions.items()):
                if said.day <= before and said.change.status in ("closed", "withdrawn"):
                    del regions[key]
            if not regions:
                del self.said[row]

    def _put_right(self, row: int, words: list[tuple[Change, int]], said: Said | None) -> list[Change]:
        if said is None:
            return [self._say(row, change, day) for change, day in words]
        change, day = words[-1]
        if change.status == "opened" and said.change.status != "withdrawn":
            change = msgspec.structs.replace(change, status="updated")
        same = msgspec.structs.replace(said.change, revision=1, status=change.status)
        known = said.change.status == change.status or {said.change.status, change.status} == {"opened", "updated"}
        return [] if known and same == change else [self._say(row, change, day)]

    def _say(self, row: int, change: Change, day: int) -> Change:
        regions = self.said.setdefault(row, {})
        last = regions.get(change.change_id)
        if last is not None:
            change = msgspec.structs.replace(change, revision=last.change.revision + 1)
        regions[change.change_id] = Said(change, day)
        return change

    def to_value(self) -> list[tuple[int, Change, int]]:
        """For a snapshot, in a fixed order."""
        return [(row, said.change, said.day) for row, regions in sorted(self.said.items()) for said in regions.values()]

    @classmethod
    def from_value(cls, value: list[tuple[int, Change, int]]) -> RegionLog:
        log = cls()
        for row, change, day in value:
            log.said.setdefault(row, {})[change.change_id] = Said(change, day)
        return log
