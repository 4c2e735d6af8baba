"""Player events of a chaos run: simulated viewers whose events are repeated, delayed, lost and spoilt on the way."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
from chaos_plan import Send, Step, good, spoilt

from cuepoint.models.session_simulator import ViewerSimulator
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdFormat
from cuepoint.schemas.topics import PLAYER_EVENTS
from cuepoint.streams.producer import partition_of

START_MS = 1_700_000_000_000  # long past, so that the events' time never runs ahead of the broker's
STEP_MS = 4_000
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"type": "player-event.v9"}, "unknown_version"),
    ({"kind": "danced"}, "invalid"),
    ({"seq": -1}, "invalid"),
    ({"seq": "7"}, "invalid"),
    ({"event_id": "a b"}, "invalid"),
    ({"session_id": None}, "invalid"),
    ({"position_s": -0.5}, "invalid"),
    ({"video_id": "\u0007"}, "invalid"),
]


class PlayPlan:
    """``step()`` gives what players send in the next STEP_MS of simulated time."""

    def __init__(self, seed: int, partitions: int, sessions: int = 70) -> None:
        self._rng = Random(f"play {seed}")
        self._partitions = partitions
        self._viewers = ViewerSimulator(seed, START_MS, sessions=sessions, videos=40, day_shape=False)
        self._videos: dict[str, str] = {}  # what each live session watches
        self._delayed: list[tuple[int, PlayerEvent]] = []  # (step, event)
        self._recent: list[Send] = []
        self._ads = self._steps = self._strays = 0
        self.now_ms = START_MS

    def step(self) -> Step:
        rng = self._rng
        self._steps += 1
        self.now_ms += STEP_MS
        if rng.random() < 0.6:
            self._insert_ad()
        sends: Step = []
        due = [event for step, event in self._delayed if step <= self._steps]
        self._delayed = [(step, event) for step, event in self._delayed if step > self._steps]
        for event in self._viewers.advance(self.now_ms):
            self._watch(event)
            chance = rng.random()
            if chance < 0.005:
                continue  # lost between player and collector
            if chance < 0.03:
                self._delayed.append((self._steps + rng.randint(1, 5), event))
                continue
            sends += self._around(event)
        for event in due:
            late = msgspec.structs.replace(event, received_at=self.now_ms)
            sends.insert(rng.randint(0, len(sends)), self._send(late))
        sends += self._again(sends)
        if rng.random() < 0.1:
            sends.append(self._send(self._stray()))
        self._recent = (self._recent + sends)[-4000:]
        return sends

    def _around(self, event: PlayerEvent) -> Step:
        """The event; now and then with a broken record before it, or said twice by the player."""
        rng, sends = self._rng, []
        chance = rng.random()
        if chance < 0.008:
            sends.append(spoilt(rng, self._send(event), FAULTS))
        elif chance < 0.012 and event.duration_s is not None:
            beyond = msgspec.structs.replace(event, position_s=event.duration_s + 60.0)
            sends.append(self._send(beyond))  # refused as such, then said rightly
        sends.append(self._send(event))
        if rng.random() < 0.01:
            again = msgspec.structs.replace(event, received_at=event.received_at + rng.randint(1, 900))
            sends.append(self._send(again))
        return sends

    def _again(self, sends: Step) -> Step:
        """Chunks that are sent a second time: of this step, or of some time ago (whose sessions may be over)."""
        rng, chance = self._rng, self._rng.random()
        if chance < 0.04 and sends:
            at = rng.randrange(len(sends))
            return sends[at : at + rng.randint(1, 40)]
        if chance < 0.06 and self._recent:
            at = rng.randrange(len(self._recent))
            return self._recent[at : at + rng.randint(1, 60)]
        return []

    def _stray(self) -> PlayerEvent:
        """An event of a session nobody has heard of that names no video."""
        self._strays += 1
        name = f"stray-{self._strays}"
        return PlayerEvent(
            event_id=name,
            session_id=name,
            seq=self._rng.randint(0, 3),
            kind="progressed",
            at=self.now_ms,
            received_at=self.now_ms,
            position_s=1.0,
        )

    def _watch(self, event: PlayerEvent) -> None:
        if event.kind == "session_ended":
            self._videos.pop(event.session_id, None)
        elif event.video_id is not None:
            self._videos[event.session_id] = event.video_id

    def _insert_ad(self) -> None:
        """Viewers react to ads of the plan, not to those decided: the input must not depend on the output."""
        if not self._videos:
            return
        self._ads += 1
        session_id = self._rng.choice(sorted(self._videos))
        kind = self._rng.choice(["spot", "bumper", "ticker"])
        decision = AdDecision(
            decision_id=f"planned-{self._ads}",
            session_id=session_id,
            video_id=self._videos[session_id],
            rule_id=f"planned-rule-{self._ads % 3}",
            rule_version=1,
            event_id="planned",
            decided_at=self.now_ms,
            number=self._ads,
            position_s=0.0,
            format=AdFormat(type=kind, length_s=6.0),
            duration_s=6.0,
            spot_load=1.0,
            reason="planned",
        )
        self._viewers.receive(decision)

    def _send(self, event: PlayerEvent) -> Send:
        partition = partition_of(event.session_id.encode(), self._partitions)
        return good(PLAYER_EVENTS, event.session_id, partition, event)
