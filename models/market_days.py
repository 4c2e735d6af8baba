"""What the market did on every day that can be revised, and what each asset said of it.

Effects are a function of the counts alone: when an asset's counts are revised, its old word is taken out of the day's
sketch and its new one put in, and the effects of that day and of all after it are reckoned again. Effects come in
steps, so that one asset seldom changes them; where it does, ``tell`` says which markets must be filtered again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.market_factor import NEUTRAL, Floats, MarketFactor, Sketch, codes_of, sketch_of
from cuepoint.models.snapshot_parts import Cutter
from cuepoint.models.trend_bases import REVISABLE_DAYS, SPACING, Archive, Rows
from cuepoint.schemas.errors import SnapshotError

KEPT_DAYS = REVISABLE_DAYS + SPACING  # a replay begins at a base, so long ago at most
SHELVED_BYTES = 1 << 16  # what is smaller is not worth a file
_SILENT = np.iinfo(np.uint16).max
Codes = NDArray[np.int64]
Words = NDArray[np.uint16]
Known = list[tuple[float, float]]  # MarketFactor.to_value
Effect = tuple[float, float, float]
Column = tuple[int, int, str]  # day, assets, name in the archive ("": its words stand in the snapshot)


class Value(NamedTuple):
    """What a snapshot holds beside the words of the days that are in no archive, in the order of ``words``."""

    markets: int
    words: list[Column]
    effects: list[tuple[int, list[Effect]]]
    known: list[tuple[int, Known]]


class _Shelved(NamedTuple):
    name: str
    assets: int


class MarketDays:
    """``markets`` are numbered from 0; words of days are code and market of every asset, or that it says nothing.

    >>> days = MarketDays()
    >>> days.tell(9, np.arange(15), np.full(15, 280), np.empty(0, dtype=np.int64)), days.effects(9).tolist()
    (array([ True]), [[0.006, 1.0, 0.0]])
    """

    def __init__(self, markets: int = 1, archive: Archive | None = None) -> None:
        self.markets, self._archive = markets, archive
        self._words: dict[int, Words | _Shelved] = {}
        self._effects: dict[int, Floats] = {}  # of days on which a market did anything
        self._known: dict[int, Known] = {}  # the factor's memory after the day, likewise
        self._sketches: dict[int, Sketch] = {}  # made of the words when first asked for

    @property
    def _neutral(self) -> Floats:
        return np.repeat(NEUTRAL, self.markets, axis=0)

    def effects(self, day: int) -> Floats:
        """(markets, 3), as ``MarketFactor.day`` gives them; neutral where nothing is known."""
        return self._effects.get(day, self._neutral)

    def tell(self, day: int, rows: Rows, codes: Codes, in_market: Codes) -> NDArray[np.bool_]:
        """What ``rows`` say of the day now (``trend_kernel.innovations``), instead of what they said; in_market (k,),
        or of length 0 where there is one market. Days must be told in their order. Says whose effects (markets,) are
        not what they were."""
        codes = codes_of(codes, in_market)
        before = self._read(day, rows)
        if not np.array_equal(before, codes):
            sketch = self._sketch(day)
            self._write(day, rows, codes)
            self._sketches[day] = sketch + sketch_of(codes, self.markets) - sketch_of(before, self.markets)
        return self._reckon(day)

    def _reckon(self, day: int) -> NDArray[np.bool_]:
        earlier = max((d for d in self._known if d < day), default=None)
        known = [(0.0, 0.0)] * self.markets if earlier is None else self._known[earlier]
        factor = MarketFactor.from_value(known)
        before, effects = self.effects(day), factor.day(self._sketch(day))
        if np.array_equal(effects, self._neutral):
            self._effects.pop(day, None)
        else:
            self._effects[day] = effects
        if (now := factor.to_value()) == known:
            self._known.pop(day, None)
        else:
            self._known[day] = now
        moved: NDArray[np.bool_] = (effects != before).any(axis=1)
        return moved

    def forget(self, day: int) -> None:
        """``day`` was scored: drop what no replay needs any more, put older words into the archive."""
        for held in (self._words, self._effects, self._sketches):
            for old in [d for d in held if d <= day - KEPT_DAYS]:
                del held[old]
        oldest = max((d for d in self._known if d <= day - KEPT_DAYS), default=0)
        for old in [d for d in self._known if d < oldest]:
            del self._known[old]
        self._shelve(day - day % SPACING - SPACING)

    @property
    def archived(self) -> list[str]:
        """What must stay in the archive."""
        return [words.name for words in self._words.values() if isinstance(words, _Shelved)]

    def to_value(self) -> tuple[Value, list[Words]]:
        """For a snapshot."""
        newest = max(self._words, default=0)
        self._shelve(newest - newest % SPACING - SPACING)
        columns = [
            (day, words.assets, words.name) if isinstance(words, _Shelved) else (day, len(words), "")
            for day, words in sorted(self._words.items())
        ]
        effects = [(day, [(e[0], e[1], e[2]) for e in held.tolist()]) for day, held in sorted(self._effects.items())]
        held = [words for _, words in sorted(self._words.items()) if not isinstance(words, _Shelved)]
        return Value(self.markets, columns, effects, sorted(self._known.items())), held

    def load(self, value: Value, cut: Cutter) -> None:
        """Take over what ``to_value`` gave; markets beyond those there are now keep their numbers and stay empty.
        Raises SnapshotError where something is missing."""
        self.markets = max(self.markets, value.markets)
        for day, assets, name in value.words:
            if name and (self._archive is None or self._archive.size(name) != 2 * assets):
                raise SnapshotError(f"market: {name} of the archive, words of a day, is missing or truncated")
            self._words[day] = _Shelved(name, assets) if name else cut.take(np.uint16, assets)
        self._effects = {day: self._widened(np.array(held)) for day, held in value.effects}
        self._known = {day: [*known, *[(0.0, 0.0)] * (self.markets - len(known))] for day, known in value.known}

    def _widened(self, effects: Floats) -> Floats:
        return np.concatenate([effects, self._neutral[len(effects) :]])

    def _sketch(self, day: int) -> Sketch:
        found = self._sketches.get(day)
        if found is None:
            codes = self._read(day, np.arange(self._assets(day)))
            found = self._sketches[day] = sketch_of(codes, self.markets)
        return found

    def _assets(self, day: int) -> int:
        words = self._words.get(day)
        return words.assets if isinstance(words, _Shelved) else 0 if words is None else len(words)

    def _held(self, day: int) -> Words:
        words = self._words.get(day, np.empty(0, dtype=np.uint16))
        if isinstance(words, _Shelved):
            assert self._archive is not None
            return self._archive.get(words.name).view(np.uint16)
        return words

    def _read(self, day: int, rows: Rows) -> Codes:
        words, codes = self._held(day), np.full(len(rows), -1, dtype=np.int64)
        known = np.flatnonzero(rows < len(words))
        said = words[rows[known]]
        codes[known] = np.where(said == _SILENT, -1, said.astype(np.int64))
        return codes

    def _write(self, day: int, rows: Rows, codes: Codes) -> None:
        before = self._held(day)
        words = np.full(max(len(before), int(rows.max()) + 1), _SILENT, dtype=np.uint16)
        words[: len(before)] = before
        words[rows] = codes.astype(np.uint16)  # -1 becomes the largest number
        self._words[day] = words

    def _shelve(self, before: int) -> None:
        """Words of days before this one that were not revised since go into the archive."""
        if self._archive is None:
            return
        for day, words in self._words.items():
            if day < before and not isinstance(words, _Shelved) and words.nbytes >= SHELVED_BYTES:
                name = self._archive.put([words])
                if name:
                    self._words[day] = _Shelved(name, len(words))
