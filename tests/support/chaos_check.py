"""The checks after a cycle: input against plan, outputs and states against the undisturbed run and plain recounts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import redis
from chaos_consumption import ConsumptionRecount
from chaos_findings import Findings
from chaos_logs import Place, Record, batch_of
from chaos_plan import Send
from chaos_recount_play import Counters, PlayRecount, count_decisions
from chaos_recount_reports import ReportRecount
from chaos_shadow import ROLE_OF, Shadow, digest, make_agents
from chaos_states import held_reports, held_sessions
from chaos_stores import Stores

from cuepoint.agents.compose_sessions import ComposeSessions
from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.schemas.errors import SnapshotError
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.topics import (
    AD_DECISIONS,
    ASSET_DAYS,
    CHANGES,
    CONSUMPTION,
    DEAD_AD_DECISIONS,
    DEAD_CONSUMPTION,
    DEAD_LETTERS,
    DEAD_PLAYER_EVENTS,
    DEAD_TREND_RECORDS,
    PLAYER_EVENTS,
    TREND_RECORDS,
)
from cuepoint.streams.snapshot_store import SnapshotStore

INPUTS = (TREND_RECORDS, PLAYER_EVENTS, CONSUMPTION)
DUE = (CHANGES, ASSET_DAYS, AD_DECISIONS, DEAD_TREND_RECORDS, DEAD_PLAYER_EVENTS, DEAD_AD_DECISIONS)  # by the shadow
OUTPUTS = (*DUE, DEAD_CONSUMPTION)
DEAD = {topic.name: DEAD_LETTERS[topic.name].name for topic in INPUTS}
COUNTS, SERVED = "cuepoint:counts:", "cuepoint:decisions:"
Fresh = Mapping[Place, Sequence[Record]]


class Checks:
    """Follows the logs cycle by cycle: ``take`` what is new in them, then ``states`` and ``counters``."""

    def __init__(self, seed: int, findings: Findings) -> None:
        self.findings, self.shadow = findings, Shadow(seed)
        self._counters: Counters = Counter()
        self._reports: dict[Place, ReportRecount] = defaultdict(ReportRecount)
        self._play: dict[Place, PlayRecount] = defaultdict(lambda: PlayRecount(self._counters))
        self._consumption: dict[Place, ConsumptionRecount] = defaultdict(ConsumptionRecount)
        self._events: set[tuple[str, str]] = set()
        self._told: dict[str, dict[str, int]] = defaultdict(dict)  # output topic -> id -> digest
        self._fates: dict[str, dict[tuple[int, int], str]] = defaultdict(dict)  # topic -> (partition, offset) -> code
        self._letters: dict[str, dict[tuple[int, int], str]] = defaultdict(dict)
        self.records = 0
        self.ends: dict[Place, int] = {}

    async def take(self, sent: Mapping[Place, Sequence[Send]], fresh: Fresh) -> bool:
        """What was sent and what is new in the logs of INPUTS and OUTPUTS. False where the input itself is not there as
        it was sent: all further checks would only repeat that."""
        said = {place: [record for record in records if not _is_rule(record)] for place, records in fresh.items()}
        for place, records in sorted(said.items()):
            if place[0] in {topic.name for topic in INPUTS}:
                self._compare_input(place, sent.get(place, ()), records)
        if self.findings.total:
            return False
        for place, records in sorted(fresh.items()):
            if records:
                self.ends[place] = records[-1].offset + 1
            await self.shadow.feed(place, records)
        self._recount(sent, said)
        for place, records in fresh.items():
            if place[0] in {topic.name for topic in OUTPUTS}:
                self._note_output(place[0], records)
        self._compare_outputs()
        self._compare_letters()
        return True

    @property
    def repeats(self) -> int:
        """Records that only repeat others, by the recounts."""
        recounts: tuple[Mapping[Place, Any], ...] = (self._reports, self._play, self._consumption)
        return sum(recount.repeats for of_topic in recounts for recount in of_topic.values())

    @property
    def dead_letters(self) -> int:
        """Records that must have a dead letter."""
        return sum(map(len, self._fates.values()))

    # -- input and output

    def _compare_input(self, place: Place, sent: Sequence[Send], records: Sequence[Record]) -> None:
        """The log holds what was sent: every record, once, in order."""
        self.records += len(sent)
        wanted = [(send.key.encode(), send.value) for send in sent]
        there = [(record.key, record.value) for record in records]
        if wanted == there:
            return
        missing, more = Counter(wanted) - Counter(there), Counter(there) - Counter(wanted)
        if missing:
            self.findings.add("lost", f"acknowledged records are not in {place}", missing.total())
        if more:
            self.findings.add("duplicated", f"{place} holds records nobody sent", more.total())
        if not missing and not more:
            self.findings.add("state_mismatches", f"records stand in {place} in another order than they were sent")

    def _recount(self, sent: Mapping[Place, Sequence[Send]], fresh: Fresh) -> None:
        """The fate of every record, by the plain rules; and what the decisions add to the counters."""
        kinds = (TREND_RECORDS, self._reports), (PLAYER_EVENTS, self._play), (CONSUMPTION, self._consumption)
        for topic, recounts in kinds:
            fates: Any = self._fates[topic.name]
            for place in sorted(place for place in fresh if place[0] == topic.name):
                for send, record in zip(sent.get(place, ()), fresh[place], strict=True):
                    code = send.code or recounts[place].take(record.value, record.timestamp)  # type: ignore[index]
                    if isinstance(send.message, PlayerEvent):
                        self._events.add((send.message.session_id, send.message.event_id))
                    if code:
                        fates[place[1], record.offset] = code
        known = self._told[AD_DECISIONS.name]
        for place, records in fresh.items():
            if place[0] == AD_DECISIONS.name:
                values = [record.value for record in records if record.value is not None]
                new = [value for value in values if msgspec.json.decode(value)["decision_id"] not in known]
                count_decisions(self._counters, new)

    def _note_output(self, topic: str, records: Sequence[Record]) -> None:
        told = self._told[topic]
        for record in records:
            content = digest(record.key, record.value)
            before = told.setdefault(record.id, content)
            if before != content:
                self.findings.add("duplicated", f"{topic}: {record.id} was told with two contents")
            elif topic in DEAD.values() and record.value is not None:
                letter = msgspec.json.decode(record.value)
                self._letters[letter["topic"]][letter["partition"], letter["offset"]] = letter["code"]

    def _compare_outputs(self) -> None:
        """Every due message is there, at least once and always the same; nothing else is."""
        for topic in DUE:
            due, told = self.shadow.due[topic.name], self._told[topic.name]
            self.findings.add_all("lost", f"not told on {topic.name}", due.keys() - told.keys())
            self.findings.add_all("duplicated", f"told on {topic.name} and not due", told.keys() - due.keys())
            wrong = [id for id, content in due.items() if told.get(id, content) != content]
            self.findings.add_all("state_mismatches", f"told on {topic.name} with another content than due", wrong)
        self.findings.add_all("duplicated", "ids with two contents even when undisturbed", self.shadow.unequal)

    def _compare_letters(self) -> None:
        for topic in INPUTS:
            fates, letters = self._fates[topic.name], self._letters[topic.name]
            self.findings.add_all(
                "lost", f"records of {topic.name} without their dead letter", fates.keys() - letters.keys()
            )
            more = [(place, letters[place]) for place in letters.keys() - fates.keys()]
            self.findings.add_all("duplicated", f"dead letters of good records of {topic.name}", more)
            other = [(at, code, letters[at]) for at, code in fates.items() if letters.get(at, code) != code]
            self.findings.add_all("state_mismatches", f"dead letters of {topic.name} (due, told)", other)

    # -- states and counters

    def states(self, stores: Mapping[str, SnapshotStore], tail: Any, **archive: Any) -> None:
        """The workers' snapshots, brought to the end of the log by ``tail(place, offset)``, against the undisturbed
        run's state, bit by bit, and against the recounts."""
        agents = {agent.name: agent for agent in make_agents(**archive)}
        for place, end in sorted(self.ends.items()):
            for name, agent in agents.items():
                if place[0] not in {topic.name for topic in agent.topics} or end == 0:
                    continue
                try:
                    snapshot = stores[ROLE_OF[name]].load(name, *place)
                except SnapshotError as error:
                    self.findings.add("state_mismatches", f"{name} {place}: {error}")
                    continue
                agent.restore(place[1], snapshot.state if snapshot else None)
                at = snapshot.offset + 1 if snapshot else 0
                if at < end:
                    self._replay(agent, place, tail(place, at))
                if agent.snapshot(place[1]) != self.shadow.agents[name].snapshot(place[1]):
                    self.findings.add("state_mismatches", f"{name} {place}: not the undisturbed run's state at {end}")
                self._compare_held(agent, place)

    @staticmethod
    def _replay(agent: Any, place: Place, records: list[Record]) -> None:
        # The agents never really wait: the only thing they await is the store of the counters, which is at hand here.
        coroutine = agent.process(batch_of(*place, records))
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise AssertionError(f"{agent.name} waited for something")

    def _compare_held(self, agent: Any, place: Place) -> None:
        if isinstance(agent, WatchTrends):
            reports = self._reports[place]
            scored = reports.scored.isoformat() if reports.scored else None
            wanted: dict[str, Any] = {"accepted": reports.state(), "unfinished": reports.unfinished()}
            wanted |= {"repeats": reports.repeats, "scored": scored}
            held = held_reports(agent, place[1])
        elif isinstance(agent, ComposeSessions):
            play = self._play[place]
            sessions = {
                name: (session.seq, session.lost, session.closes_at, session.video, session.completed)
                for name, session in play.sessions.items()
            }
            wanted = {"sessions": sessions, "closed": play.closed, "clock": play.clock}
            held = held_sessions(agent, place[1])
        else:
            return
        for part, content in wanted.items():
            if held[part] != content:
                what = _difference(content, held[part])
                self.findings.add("lost", f"{agent.name} {place}: {part} is not what the records give: {what}")

    def counters(self, client: redis.Redis, ends: Mapping[Place, int]) -> None:
        """Redis holds what the recount says, no less, no more, and stands at the ends of the logs."""
        there: Counters = Counter()
        for key in client.scan_iter(match=COUNTS + "*", count=1000):
            for field, text in client.hgetall(key).items():  # type: ignore[union-attr]
                there[key.removeprefix(COUNTS), field] = int(text)
        wanted = Counter({name: count for name, count in self._counters.items() if count})
        low = [(*name, count, there[name]) for name, count in wanted.items() if there[name] < count]
        high = [(*name, wanted[name], count) for name, count in there.items() if count > wanted[name]]
        self.findings.add_all("lost", "counters below the recount (recount, Redis)", low)
        self.findings.add_all("duplicated", "counters above the recount (recount, Redis)", high)
        self._served(client)
        for wrong in stands_elsewhere(client, ends):
            self.findings.add("state_mismatches", wrong)

    def stores(self, stores: Stores) -> None:
        """The history and the consumption store hold what was told and sent, once each."""
        visible = {cell: count for recount in self._consumption.values() for cell, count in recount.visible().items()}
        stores.compare(self.findings, self.shadow.recorded, self._events, self._fates, visible)

    def _served(self, client: redis.Redis) -> None:
        """Players can read every decision, once."""
        readable: Counter[str] = Counter()
        for session in client.scan_iter(match=SERVED + "*", count=1000):
            for value in client.zrange(session, 0, -1):
                readable[msgspec.json.decode(value)["decision_id"]] += 1
        told = self._told[AD_DECISIONS.name]
        self.findings.add_all("lost", "decisions that cannot be read", told.keys() - readable.keys())
        self.findings.add_all("duplicated", "decisions to be read that nobody made", readable.keys() - told.keys())
        self.findings.add_all("duplicated", "decisions to be read twice", [id for id, n in readable.items() if n > 1])


def stands_elsewhere(client: redis.Redis, ends: Mapping[Place, int]) -> list[str]:
    """Where what is kept in Redis does not stand at the end of its log: not yet, or no more (it may have been emptied
    after the last record, which is noticed a little later)."""
    stands: Any = client.hgetall("cuepoint:offsets")
    agents = (("count_events", PLAYER_EVENTS), ("count_decisions", AD_DECISIONS), ("serve_decisions", AD_DECISIONS))
    wrong = []
    for name, topic in agents:
        for place, end in ends.items():
            last = int(stands.get(f"|{name}|{place[0]}|{place[1]}", -1))
            if place[0] == topic.name and last != end - 1:
                wrong.append(f"{name} stands at {last} of {place}, which ends at {end}")
    return wrong


def _is_rule(record: Record) -> bool:
    """Rules stand among the player events; no event of the plan looks like one."""
    return (record.value or b"").startswith(b'{"type":"ad-rule.v1"')


def _difference(wanted: Any, held: Any) -> str:
    if not isinstance(wanted, dict):
        return f"{wanted} due, {held} held"
    wrong = [key for key in wanted.keys() | held.keys() if wanted.get(key) != held.get(key)]
    key = min(wrong, key=str)
    return f"{len(wrong)} differ, e.g. {key}: {str(wanted.get(key))[:200]} due, {str(held.get(key))[:200]} held"
