"""Weights learnt from outcomes: the same whatever the order, however often, and through restarts; and they learn."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cuepoint.models.growth_outcomes import Outcome, weights_after
from cuepoint.models.growth_verdict import DRIVERS, PRIOR
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.outcome_store import Outcome as Stored
from cuepoint.streams.outcome_store import OutcomeStore

DAY = dt.date(2026, 3, 1)
drivers = st.tuples(st.just(1.0), *[st.floats(-3, 3) for _ in DRIVERS[1:]])
outcomes = st.lists(
    st.builds(
        Outcome,
        st.dates(DAY, DAY + dt.timedelta(days=5)),
        st.text("abc", min_size=1, max_size=4),
        drivers,
        st.booleans(),
    ),
    max_size=20,
    unique_by=lambda each: each.change_id,
)


@given(outcomes, st.randoms())
def test_any_order_and_repeats_give_the_same_weights(given_: list[Outcome], random: object) -> None:
    shuffled = [*given_, *given_]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert weights_after(shuffled) == weights_after(given_)
    assert weights_after(given_).version == len(given_)


def test_what_is_stored_survives_restarts_and_stays(tmp_path: Path) -> None:
    url, worked = f"sqlite:///{tmp_path}/history.db", Stored(DAY, "a", (1.0, 0.5), True)
    for outcome in (worked, worked._replace(worked=False), Stored(DAY, "b", (1.0, 0.1), None)):
        engine = open_engine(url)
        upgrade(engine)
        OutcomeStore(engine).write([outcome])
        stored = OutcomeStore(engine).outcomes()
        engine.dispose()
    assert stored == [worked, Stored(DAY, "b", (1.0, 0.1), None)]


def test_log_loss_on_fresh_assets_falls() -> None:
    """A catalogue in which completion decides, and nothing else."""
    rng = np.random.default_rng(2)

    def draw(number: int) -> Outcome:
        values = np.concatenate([[1.0], rng.standard_normal(len(DRIVERS) - 1)])
        worked = rng.random() < 1 / (1 + np.exp(-3 * values[DRIVERS.index("completion")]))
        return Outcome(DAY, f"{number:04d}", tuple(values.tolist()), bool(worked))

    learnt, fresh = weights_after(draw(number) for number in range(200)), [draw(number) for number in range(200)]

    def loss(mean: tuple[float, ...]) -> float:
        p = [1 / (1 + np.exp(-np.dot(mean, each.drivers))) for each in fresh]
        return -float(np.mean([np.log(q if each.worked else 1 - q) for q, each in zip(p, fresh, strict=True)]))

    assert loss(learnt.mean) < loss(PRIOR.mean) - 0.1
