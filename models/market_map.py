"""Which market an asset belongs to on a day: the one where most of the day's streams were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from cuepoint.models.report_amendments import Source
from cuepoint.models.report_parts import Parts, Rows

MOST_MARKETS = 40
_ONE_MARKET = np.empty(0, dtype=np.int64)


class MarketMap:
    """``patterns``: market by pattern of sources ("DSP/TERRITORY"; the first that fits holds). Market 0 is that of all
    other sources. Raises ValueError for a pattern without a slash, or too many markets.

    >>> of = MarketMap({"sim-*/*": "simulated", "*/US": "us", "*/CA": "us"})
    >>> of.number(("sim-a", "US")), of.number(("spotify", "CA")), of.number(("spotify", "DE")), of.markets
    (1, 2, 0, 3)
    """

    def __init__(self, patterns: Mapping[str, str] | None = None) -> None:
        self._patterns = dict(patterns or {})
        for pattern in self._patterns:
            if pattern.count("/") != 1:
                raise ValueError(f'markets: a pattern is "DSP/TERRITORY", and {pattern!r} is not')
        self._numbers = {name: i + 1 for i, name in enumerate(dict.fromkeys(self._patterns.values()))}
        self.markets = 1 + len(self._numbers)
        if self.markets > MOST_MARKETS:
            raise ValueError(f"markets: {self.markets}, and there can be {MOST_MARKETS}")

    def number(self, source: Source) -> int:
        """The market of a source (DSP, territory)."""
        name = "/".join(source)
        fits = (market for pattern, market in self._patterns.items() if fnmatchcase(name, pattern))
        return self._numbers.get(next(fits, ""), 0)

    def of(self, parts: Mapping[Source, Parts], here: Sequence[Source], day: int, rows: Rows) -> NDArray[np.int64]:
        """The market (k,) of each of ``rows`` by what the sources ``here`` say of the day; the first of equals; of
        length 0 where there is one market only."""
        if self.markets == 1:
            return _ONE_MARKET
        streams = np.zeros((self.markets, len(rows)), dtype=np.int64)
        for source in here:
            streams[self.number(source)] += parts[source].read(day, rows) + 1  # absent: nothing; named: a little
        found: NDArray[np.int64] = streams.argmax(axis=0)
        return found
