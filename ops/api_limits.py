"""Token buckets: how much a caller may send."""

from __future__ import annotations

from collections import OrderedDict


class TokenBuckets:
    """One bucket a key, refilled at ``rate_per_s`` up to ``burst``; the clock is the caller's.

    Buckets live in this process: with N replicas behind a balancer the bound of a key is N times the setting. That
    keeps the collector's hot path free of a round trip, and a bound that guards a process needs no more.
    At most ``keys`` buckets are kept; the least recently used go first (a forgotten bucket starts full).

    >>> buckets = TokenBuckets(rate_per_s=10, burst=20)
    >>> buckets.take("a", 20, now_s=0.0), buckets.take("a", 5, now_s=0.0), buckets.take("a", 5, now_s=0.5)
    (0.0, 0.5, 0.0)
    """

    def __init__(self, rate_per_s: float, burst: float, keys: int = 10_000) -> None:
        self.rate_per_s, self.burst, self.keys = rate_per_s, burst, keys
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> (tokens, at)

    def take(self, key: str, amount: float, now_s: float) -> float:
        """0.0 and the tokens are taken, or the seconds to wait and nothing is taken. ``amount`` is cut to ``burst``."""
        amount = min(amount, self.burst)
        tokens, at = self._buckets.pop(key, (self.burst, now_s))
        tokens = min(self.burst, tokens + max(0.0, now_s - at) * self.rate_per_s)
        wait_s = 0.0
        if tokens >= amount:
            tokens -= amount
        else:
            wait_s = (amount - tokens) / self.rate_per_s
        self._buckets[key] = (tokens, max(at, now_s))
        if len(self._buckets) > self.keys:
            self._buckets.popitem(last=False)
        return wait_s
