"""A position that runs backwards without a seek: watched again, and nothing inserted twice."""

from __future__ import annotations

from playback_log import Player, book, rule, run

from cuepoint.schemas.rules import AtSeconds, Every


def test_what_was_passed_is_not_passed_again_and_what_is_watched_twice_counts_twice() -> None:
    player = Player("s").begin().video("v", 100.0)
    for position_s, after_s in ((50.0, 50.0), (20.0, 10.0), (60.0, 40.0)):
        player.say("progressed", position_s, after_s=after_s)
    found = run(player.events, book(rule("once", AtSeconds(seconds=40.0)), rule("every", Every(seconds=30.0))))
    assert found.refused == []
    decided = [(decision.rule_id, decision.event_id, decision.position_s) for decision in found.decisions]
    assert decided == [("every", "s-2", 50.0), ("once", "s-2", 40.0), ("every", "s-4", 60.0)]
