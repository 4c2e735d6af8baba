"""Whatever is delivered, in whatever order, pieces and repeats: the same store is seen in the end."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from consumption_feed import DAY, Feed, amendment, cell, report, withdrawal
from hypothesis import HealthCheck, given, settings

from cuepoint.streams.consumption_upkeep import Upkeep, UpkeepOptions

NEVER_OLD_MS = int(dt.datetime(2026, 4, 1, tzinfo=dt.UTC).timestamp() * 1000)
Delivery = tuple[str, str, int, int]  # kind, DSP, version, partition

kinds = st.sampled_from(["whole", "whole", "whole", "cut short", "withdrawn", "amended"])
deliveries = st.lists(
    st.tuples(kinds, st.sampled_from(["d1", "d2"]), st.integers(1, 3), st.integers(0, 1)), min_size=1, max_size=9
)


def messages(delivery: Delivery) -> list[Any]:
    """The same version of a report is always the same; different versions have different assets."""
    kind, dsp, version, partition = delivery
    count = 100 * partition + 10 * version
    cells = [cell("a", count), cell("a", 1, context="radio"), cell(f"b{version}", count + 1)]
    if kind == "withdrawn":
        return withdrawal(version, dsp=dsp)
    if kind == "amended":
        return amendment("late", count + 2, version, dsp=dsp)
    whole = report(cells, version, dsp=dsp)
    return whole if kind == "whole" else whole[:-2]


def expected(delivered: list[Delivery]) -> dict[Any, int]:
    """By the words of the contract, from the set of what was delivered alone."""
    seen: dict[Any, int] = {}
    for dsp, partition in {(dsp, partition) for _, dsp, _, partition in delivered}:
        here = {(kind, version) for kind, d, version, p in delivered if (d, p) == (dsp, partition)}
        settled = max((version for kind, version in here if kind in {"whole", "withdrawn"}), default=0)
        if ("whole", settled) not in here or ("withdrawn", settled) in here:
            continue
        count = 100 * partition + 10 * settled
        found = {"a": count + 1, f"b{settled}": count + 1}
        if ("amended", settled) in here:
            found["late"] = count + 2
        for asset, value in found.items():
            key = (asset, dsp, DAY.isoformat())
            seen[key] = seen.get(key, 0) + value
    return seen


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    deliveries, st.lists(st.integers(2, 16), min_size=1, max_size=4), st.randoms(use_true_random=False), st.booleans()
)
def test_any_order_of_any_deliveries_ends_in_the_same_visible_store(
    delivered: list[Delivery], chunks: list[int], random: Any, merge: bool
) -> None:
    seen = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            feed = Feed(Path(folder))
            upkeep = Upkeep(
                feed.catalogue, feed.files, feed.root, UpkeepOptions(merge_files=2, dead_share=0.0, grace_s=0)
            )
            for delivery in delivered:
                feed.send(messages(delivery), delivery[-1])
                if merge:
                    feed.run(chunks)
                    upkeep.run(NEVER_OLD_MS)
            feed.run(chunks)
            seen.append(feed.visible())
            upkeep.run(NEVER_OLD_MS)
            assert feed.visible() == seen[-1]
            feed.engine.dispose()
        random.shuffle(delivered)
    assert seen[0] == seen[1] == expected(delivered)
