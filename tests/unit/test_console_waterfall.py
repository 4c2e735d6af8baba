"""The waterfall of a cause: bars hang together, and end where the change ends."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuepoint.ops.console_reasons import MARGIN, WIDTH, waterfall, weights
from cuepoint.schemas.opportunities import Dimension, Driver, Explanation, Interval, PartOfChange, ProximalCause

sizes = st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1e-3)


def around(mean: float) -> Interval:
    return Interval(mean, mean - 5.0, mean + 5.0)


def explanation(parts: list[float], market: float, rest: float) -> Explanation:
    told = [
        PartOfChange(value=f"v{at}", effect=around(size), share=0.1, expected=1.0, likely=0.9)
        for at, size in enumerate(parts)
    ]
    day = dt.date(2020, 1, 1)
    dimensions = [
        Dimension(dimension=name, parts=told, unexplained=around(rest))  # type: ignore[arg-type]
        for name in ("dsp", "territory")
    ]
    return Explanation(
        change_id="c",
        revision=1,
        asset_id="a",
        start=day,
        day=day,
        change=around(sum(parts) + market + rest),
        market=around(market),
        dimensions=dimensions,
        causes=[ProximalCause(dimension="territory", value="v0", probability=0.8)],
    )


@given(st.lists(sizes, max_size=6), sizes, sizes)
def test_bars_begin_where_the_last_ended_and_reach_the_change(parts: list[float], market: float, rest: float) -> None:
    fall = waterfall(explanation(parts, market, rest))
    assert fall is not None
    assert [step.kind for step in fall.steps] == [*["part"] * len(parts), "market", "unexplained", "total"]
    reached = fall.zero
    for step in fall.steps[:-1]:
        ends = (step.x, step.x + step.width)
        up = step.effect.mean > 0
        assert reached == pytest.approx(ends[0] if up else ends[1], abs=1.2)  # a bar is a unit wide at least
        reached = ends[1] if up else ends[0]
        assert min(step.low, *ends) >= MARGIN - 0.1 and max(step.high, *ends) <= WIDTH
    assert reached == pytest.approx(fall.end, abs=1.2 * len(fall.steps))


def test_dimension_is_the_one_asked_for_else_that_of_the_cause() -> None:
    said = explanation([10.0], 1.0, 2.0)
    chosen = [fall.dimension for fall in (waterfall(said, "dsp"), waterfall(said), waterfall(said, "none")) if fall]
    assert chosen == ["dsp", "territory", "territory"]
    shares = [step.share for step in waterfall(said).steps if step.share is not None]  # type: ignore[union-attr]
    assert sum(shares[:-1]) == pytest.approx(1.0) == shares[-1]
    nothing = Explanation(change_id="c", revision=1, asset_id="a", start=said.start, day=said.day)
    assert waterfall(nothing) is None


def test_drivers_grow_to_the_side_they_speak_for() -> None:
    rows = weights([Driver(name="potential", value=1, contribution=2.0), Driver(name="x_y", value=1, contribution=-1)])
    assert [row.label for row in rows] == ["Streams one more listener brings", "x y"]
    assert [row.x < WIDTH / 2 for row in rows] == [False, True]
    assert rows[0].width > rows[1].width
