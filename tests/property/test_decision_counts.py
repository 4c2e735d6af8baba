"""Deliveries and what recognises repeats are functions of the log, not of how it was cut into batches."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from cuepoint.models.count_events import FORGET_MS, DecisionCounter
from cuepoint.models.count_tally import Tally
from cuepoint.schemas.playback import AdDecision
from cuepoint.schemas.rules import AdFormat

Told = tuple[int, int, int]  # session, number, hours


def decision(told: Told) -> AdDecision:
    session, number, hours = told
    return AdDecision(
        decision_id=f"{session}-{number}",
        session_id=f"s{session}",
        video_id="v",
        rule_id="r",
        rule_version=1,
        event_id="e",
        decided_at=1_700_000_000_000 + hours * FORGET_MS // 2,
        number=number,
        position_s=0.0,
        format=AdFormat(),
        duration_s=15.0,
        spot_load=1.0,
        reason="",
    )


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 8)), max_size=20),
    st.lists(st.integers(0, 20), max_size=5),
)
@example([(0, 1, 0), (1, 1, 3), (0, 2, 0)], [2])  # a session that was forgotten between two batches, and not within one
def test_counts_do_not_depend_on_batches(log: list[Told], cuts: list[int]) -> None:
    decisions = [decision(told) for told in log]
    whole, parted, tally = DecisionCounter(), DecisionCounter(), Tally()
    counted = whole.count(decisions).increments
    edges = [0, *sorted(cuts), len(decisions)]
    for first, last in pairwise(edges):
        tally.merge(parted.count(decisions[first:last]))
    assert tally.increments == counted
    assert (list(parted.last.items()), parted.clock) == (list(whole.last.items()), whole.clock)
