"""The engine's promises, on whatever sessions and rules come up."""

from collections import Counter
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_engine import SessionEngine
from playback_log import Player, book, rule, run
from playback_strategies import interleave, rule_sets, sessions, several_sessions

from cuepoint.models.rule_book import RuleBook
from cuepoint.models.rule_series import series_of
from cuepoint.models.session_results import Results
from cuepoint.models.session_settings import SessionSettings
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdRule, Every, Limits, SessionPaced

settings.register_profile("engine", max_examples=100, deadline=None)
settings.load_profile("engine")


def by_session(decisions: list[AdDecision]) -> dict[str, list[AdDecision]]:
    found: dict[str, list[AdDecision]] = {}
    for decision in decisions:
        found.setdefault(decision.session_id, []).append(decision)
    return found


def one_by_one(events: list[PlayerEvent], rules: RuleBook) -> tuple[list[AdDecision], dict[str, object]]:
    """The same without the engine's short cut for heartbeats, and with every look-ahead forgotten."""
    engine, results = SessionEngine(SessionSettings()), Results()
    for event in events:
        for session in engine.sessions.values():
            session.plan = None
        try:
            engine.step(event, event.received_at, rules, results)
        except ContractError:
            continue
    return results.decisions, engine.rows()


@given(rule_sets(), several_sessions(), st.data())
def test_interleaving_cutting_and_the_short_cut_change_nothing(
    rules: list[AdRule], logs: list[list[PlayerEvent]], data: st.DataObject
) -> None:
    log = interleave(lambda n: data.draw(st.integers(0, n - 1)), logs)
    engine = SessionEngine(SessionSettings())
    results = run(log, book(*rules), engine)
    alone = {name: found for part in logs for name, found in by_session(run(part, book(*rules)).decisions).items()}
    assert by_session(results.decisions) == alone
    cuts = data.draw(st.lists(st.integers(0, len(log)), max_size=4))
    cut_engine = SessionEngine(SessionSettings())
    assert run(log, book(*rules), cut_engine, cuts).decisions == results.decisions
    assert (results.decisions, engine.rows()) == one_by_one(log, book(*rules))
    assert cut_engine.rows() == engine.rows()


@given(rule_sets(), sessions(), st.data())
def test_a_restart_from_a_snapshot_changes_nothing(
    rules: list[AdRule], log: list[PlayerEvent], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(log)))
    whole, first, second = (SessionEngine(SessionSettings()) for _ in range(3))
    expected = run(log, book(*rules), whole)
    before = run(log[:cut], book(*rules), first)
    second.load(msgspec.msgpack.decode(msgspec.msgpack.encode(first.rows())))
    after = run(log[cut:], book(*rules), second)
    assert before.decisions + after.decisions == expected.decisions
    assert msgspec.msgpack.encode(second.rows()) == msgspec.msgpack.encode(whole.rows())


@given(rule_sets(), sessions(), st.data())
def test_repeats_are_ignored_and_lost_or_late_events_never_decide_twice(
    rules: list[AdRule], log: list[PlayerEvent], data: st.DataObject
) -> None:
    places = st.integers(0, len(log) - 1)
    repeated = list(log)
    for place in sorted(data.draw(st.lists(places, max_size=5)), reverse=True):
        repeated.insert(data.draw(st.integers(place + 1, len(repeated))), log[place])
    assert run(repeated, book(*rules)).decisions == run(log, book(*rules)).decisions
    lost = data.draw(st.sets(places, max_size=5))
    thinned = [event for place, event in enumerate(log) if place not in lost]
    for place in sorted(lost):
        thinned.insert(data.draw(st.integers(0, len(thinned))), log[place])  # too late, or early: a gap for the others
    decisions = run(thinned, book(*rules)).decisions
    ids = [decision.decision_id for decision in decisions]
    assert len(set(ids)) == len(ids)
    assert [decision.number for decision in decisions] == list(range(1, len(ids) + 1))


@given(rule_sets(), sessions())
def test_limits_are_never_exceeded(rules: list[AdRule], log: list[PlayerEvent]) -> None:
    results = run(log, book(*rules))
    assert results.faults == []
    limits = {one.rule_id: one.limits for one in rules}
    in_session, in_view = Counter[str](), Counter[tuple[str, int]]()
    starts = {event.event_id: event.seq for event in log if event.kind == "video_started"}
    seq_of = {event.event_id: event.seq for event in log}
    for decision in results.decisions:
        view = max((seq for seq in starts.values() if seq <= seq_of[decision.event_id]), default=-1)
        in_session[decision.rule_id] += 1
        in_view[decision.rule_id, view] += 1
    for rule_id, count in in_session.items():
        assert count <= (limits[rule_id].per_session or count)
    for (rule_id, _), count in in_view.items():
        assert count <= (limits[rule_id].per_video or count)


@given(
    st.sampled_from([20.0, 60.0, 120.0]),
    st.sampled_from([0.05, 0.5, 2.0]),
    st.sampled_from([1.0, 7.0, 10.0]),
    st.integers(1, 4),
)
def test_the_spot_load_of_session_paced_rules_falls(interval: float, growth: float, step: float, videos: int) -> None:
    player = Player().begin()
    for number in range(videos):
        player.video(f"v{number}", 1200.0).play(1200.0, step_s=step)
    paced = SessionPaced(seconds=interval, growth=growth, max_seconds=3600.0)
    decisions = run(player.events, book(rule("r", paced))).decisions
    series = series_of(paced)
    exact = [number * 60.0 / max(60.0, series.moment(number)) for number in range(1, len(decisions) + 1)]
    assert all(later < earlier for earlier, later in pairwise(load for load in exact[int(60.0 // interval) :]))
    for decision, load in zip(decisions, exact, strict=True):  # a heartbeat sees an occasion up to one step late
        at_s = decision.number * 60.0 / load
        assert load * at_s / (at_s + step) - 1e-6 <= decision.spot_load <= load + 1e-6


steps = st.lists(st.sampled_from([1.0, 4.9, 10.0, 17.3]), min_size=10, max_size=60)
gaps = st.lists(
    st.tuples(st.sampled_from([7.0, 20.0, 33.0]), st.sampled_from([10.0, 25.0, 40.0])), min_size=1, max_size=3
)


@given(steps, gaps)
def test_looking_ahead_past_the_gap_after_an_ad_misses_nothing(
    steps: list[float], gaps: list[tuple[float, float]]
) -> None:
    player, at_s = Player().begin().video(duration_s=None), 0.0
    for step in steps:
        at_s += step
        player.say("progressed", at_s, after_s=step)
    rules = [
        rule(f"r{k}", Every(seconds=every), limits=Limits(min_gap_s=gap), priority=k)
        for k, (every, gap) in enumerate(gaps)
    ]
    engine = SessionEngine(SessionSettings())
    assert (run(player.events, book(*rules), engine).decisions, engine.rows()) == one_by_one(
        player.events, book(*rules)
    )
