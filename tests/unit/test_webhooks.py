"""Webhooks: what is queued for whom, how it is sent, tried again, given up and sent anew; where it never goes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from webhook_receiver import Receiver, receiving

from cuepoint.agents.deliver_webhooks import DeliverWebhooks
from cuepoint.models.webhook_filter import AlertFilter
from cuepoint.models.webhook_signature import secret_of
from cuepoint.ops.webhook_parts import ThreadedOutbox
from cuepoint.schemas.codec import encode
from cuepoint.schemas.opportunities import Opportunity
from cuepoint.schemas.topics import ASSETS, CHANGES, OPPORTUNITIES, Topic
from cuepoint.schemas.trends import Asset, Change
from cuepoint.streams.batch import Batch
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.history import HistoryWriter
from cuepoint.streams.history_rows import Recorded
from cuepoint.streams.webhook_sender import GuardedResolver, Refused, SenderOptions, WebhookSender, check_url
from cuepoint.streams.webhook_store import WebhookStore

MASTER, AT_MS = b"master", 1_790_000_000_000


def change(id: str = "c1", revision: int = 1, **changes: Any) -> Change:
    day = dt.date(2026, 3, 2)
    values: dict[str, Any] = {
        "change_id": id,
        "revision": revision,
        "status": "opened" if revision == 1 else "updated",
        "asset_id": "a1",
        "kind": "rapid",
        "direction": "up",
        "start": day,
        "day": day,
        "probability": 0.99,
        "size_per_day": 50.0,
        "size_percent": 40.0,
        "count": 175.0,
        "expected": 125.0,
    }
    band = dict.fromkeys(("lower_80", "upper_80", "lower_95", "upper_95"), 100.0)
    return Change(**(values | band | changes))


def opportunity(id: str = "c1", revision: int = 1, *, found: bool = True, **others: Any) -> Opportunity:
    values: dict[str, Any] = {"asset_id": "a1", "day": dt.date(2026, 3, 2), "probability": 0.8 if found else 0.2}
    return Opportunity(change_id=id, revision=revision, opportunity=found, **(values | others))


class Office:
    """A store, an agent and a sender whose clock and chance are the test's."""

    def __init__(self, folder: Path, **options: Any) -> None:
        engine = open_engine(f"sqlite:///{folder}/cuepoint.db")
        upgrade(engine)
        asset = Asset(asset_id="a1", title="Song", artist="Band", owner="Label")
        HistoryWriter(engine).write(ASSETS.name, 0, 0, [Recorded(0, 0, asset)])
        self.store = WebhookStore(engine)
        self.agent = DeliverWebhooks(ThreadedOutbox(self.store))
        self.now_s, self.offsets = AT_MS / 1000, {CHANGES: 0, OPPORTUNITIES: 0}
        chosen = SenderOptions(private=True, timeout_s=5.0)._replace(**options)
        self.sender = WebhookSender(self.store, MASTER, chosen, chance=lambda: 1.0, clock=lambda: self.now_s)

    def subscribe(self, url: str, wanted: AlertFilter | None = None) -> str:
        return self.store.create(url, "", wanted or AlertFilter(), "active", AT_MS).webhook_id

    async def tell(self, *alerts: Change | Opportunity) -> None:
        for topic, kind in ((CHANGES, Change), (OPPORTUNITIES, Opportunity)):
            if values := [encode(each) for each in alerts if isinstance(each, kind)]:
                await self._put(topic, values)

    async def _put(self, topic: Topic, values: list[bytes]) -> None:
        first = self.offsets[topic]
        after = self.offsets[topic] = first + len(values)
        batch = Batch(
            topic.name,
            0,
            first,
            after - 1,
            values,
            [None] * len(values),
            range(first, after),
            [AT_MS] * len(values),
        )
        assert await self.agent.process(batch) == []
        assert await self.agent.process(batch) == []  # as after a crash before the commit
        assert await self.agent.position(topic.name, 0) == after - 1

    async def send(self) -> int:
        async with self.sender.session() as session:
            return await self.sender.send_due(session)

    def states(self, webhook_id: str) -> list[tuple[str, int]]:
        """(status, attempts) of the deliveries, oldest first."""
        found, _ = self.store.deliveries(webhook_id, None, 100, 0)
        return [(each.status, each.attempts) for each in reversed(found)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.fixture(autouse=True)
def judged_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference implementation refuses old timestamps: its clock is ours."""
    import standardwebhooks.webhooks as judge

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return dt.datetime.fromtimestamp(AT_MS / 1000, tz)

    monkeypatch.setattr(judge, "datetime", Clock)


async def test_a_change_arrives_signed_and_once(office: Office, receiver: Receiver) -> None:
    hook = office.subscribe(receiver.url)
    await office.tell(change())
    assert await office.send() == 1
    assert await office.send() == 0
    salt = office.store.get(hook, AT_MS).salts[0]  # type: ignore[union-attr]
    event = receiver.opened(secret_of(MASTER, hook, salt))
    assert event["type"] == "change.opened"
    assert event["timestamp"] == "2026-09-21T14:13:20.000Z"
    assert {name: event["data"][name] for name in ("change_id", "revision", "title", "owner")} == {
        "change_id": "c1",
        "revision": 1,
        "title": "Song",
        "owner": "Label",
    }
    with pytest.raises(Exception, match="signature"):
        receiver.opened("whsec_" + "AAAA" * 10)
    assert office.states(hook) == [("delivered", 1)]


async def test_a_region_is_one_alert_whose_newest_revision_counts(office: Office, receiver: Receiver) -> None:
    hook = office.subscribe(receiver.url)
    await office.tell(change(), change(revision=2))
    await office.send()
    await office.tell(change(revision=3, status="closed"))
    await office.send()
    bodies = [json.loads(body)["data"] for _, body in receiver.got]
    assert [(body["change_id"], body["revision"]) for body in bodies] == [("c1", 2), ("c1", 3)]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 2
    assert office.states(hook) == [("superseded", 0), ("delivered", 1), ("delivered", 1)]


@pytest.mark.parametrize(
    ("wanted", "others"),
    [
        ({"assets": ["a1"]}, {"asset_id": "a2"}),
        ({"owners": ["Label"]}, {"asset_id": "a2"}),
        ({"kinds": ["rapid"]}, {"kind": "gradual"}),
        ({"directions": ["up"]}, {"direction": "down"}),
        ({"statuses": ["opened"]}, {"status": "closed"}),
        ({"least_size_per_day": 50}, {"size_per_day": -49.0}),
        ({"least_size_percent": 40}, {"size_percent": 39.0}),
    ],
)
async def test_a_subscriber_gets_what_it_asked_for(
    office: Office, wanted: dict[str, Any], others: dict[str, Any]
) -> None:
    hook = office.subscribe("http://127.0.0.1:9/", AlertFilter(**wanted))
    await office.tell(change(), change("c2", **others))
    found, total = office.store.deliveries(hook, None, 10, 0)
    assert total == 1
    assert json.loads(found[0].body)["data"]["change_id"] == "c1"


async def test_a_region_once_told_of_is_told_of_to_its_end(office: Office, receiver: Receiver) -> None:
    office.subscribe(receiver.url, AlertFilter(least_size_percent=30))
    await office.tell(change(size_percent=35.0))
    await office.send()
    await office.tell(change(revision=2, status="withdrawn", size_percent=1.0), change("c2", size_percent=1.0))
    await office.send()
    assert [json.loads(body)["type"] for _, body in receiver.got] == ["change.opened", "change.withdrawn"]


async def test_opportunities_arrive_where_they_are_asked_for(office: Office, receiver: Receiver) -> None:
    hook = office.subscribe(receiver.url, AlertFilter(events=["opportunity"], owners=["Label"], kinds=["gradual"]))
    await office.tell(
        change(), opportunity(goal="expand"), opportunity("c2", found=False), opportunity("c3", asset_id="x")
    )
    await office.send()
    salt = office.store.get(hook, AT_MS).salts[0]  # type: ignore[union-attr]
    event = receiver.opened(secret_of(MASTER, hook, salt))
    assert event["type"] == "opportunity.found"
    assert {name: event["data"][name] for name in ("change_id", "goal", "probability", "title")} == {
        "change_id": "c1",
        "goal": "expand",
        "probability": 0.8,
        "title": "Song",
    }
    assert office.states(hook) == [("delivered", 1)]


async def test_an_opportunity_once_told_of_is_told_of_to_its_end(office: Office, receiver: Receiver) -> None:
    hook = office.subscribe(receiver.url, AlertFilter(events=["opportunity"]))
    await office.tell(opportunity())
    await office.send()
    await office.tell(opportunity(revision=2, found=False))
    await office.send()
    await office.tell(opportunity(revision=3), opportunity(revision=4, found=False, status="withdrawn"))
    await office.send()
    kinds = [json.loads(body)["type"] for _, body in receiver.got]
    assert kinds == ["opportunity.found", "opportunity.lost", "opportunity.withdrawn"]
    assert [status for status, _ in office.states(hook)] == ["delivered", "delivered", "superseded", "delivered"]


async def test_a_change_and_its_opportunity_do_not_displace_each_other(office: Office, receiver: Receiver) -> None:
    office.subscribe(receiver.url, AlertFilter(events=["change", "opportunity"]))
    await office.tell(change(), opportunity(revision=2))
    await office.send()
    assert [json.loads(body)["type"] for _, body in receiver.got] == ["change.opened", "opportunity.found"]


async def test_who_asked_for_nothing_in_particular_hears_of_changes_alone(office: Office, receiver: Receiver) -> None:
    office.subscribe(receiver.url)
    await office.tell(change(), opportunity())
    await office.send()
    assert [json.loads(body)["type"] for _, body in receiver.got] == ["change.opened"]


async def test_failures_are_tried_again_with_growing_pauses_then_given_up_then_sent_anew(
    tmp_path: Path, receiver: Receiver
) -> None:
    office = Office(tmp_path, attempts=4)
    hook = office.subscribe(receiver.url)
    receiver.answers = [(500, {}), (302, {"location": receiver.url}), (429, {"retry-after": "60"}), (503, {})]
    await office.tell(change())
    pauses = []
    for _ in range(3):
        assert await office.send() == 1
        [waiting], _ = office.store.deliveries(hook, "waiting", 10, 0)
        pauses.append(waiting.next_at / 1000 - office.now_s)
        office.now_s = waiting.next_at / 1000 - 0.01
        assert await office.send() == 0
        office.now_s += 0.02
    assert pauses == pytest.approx([5.0, 15.0, 60.0])
    await office.send()
    [dead], _ = office.store.deliveries(hook, "dead", 10, 0)
    assert (dead.attempts, dead.reason) == (4, "the receiver answered 503")
    office.now_s += 1e6
    assert await office.send() == 0
    assert office.store.replay(hook, int(office.now_s * 1000)) == 1
    assert await office.send() == 1
    assert office.states(hook) == [("delivered", 1)]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


async def test_one_that_fails_holds_up_only_its_own(office: Office, receiver: Receiver) -> None:
    broken = office.subscribe("http://127.0.0.1:9/nobody-listens")
    office.subscribe(receiver.url)
    await office.tell(*(change(f"c{n}") for n in range(3)))
    await office.send()
    assert [json.loads(body)["data"]["change_id"] for _, body in receiver.got] == ["c0", "c1", "c2"]
    assert office.states(broken) == [("waiting", 1), ("waiting", 0), ("waiting", 0)]


async def test_a_receiver_that_is_gone_is_not_bothered_again(office: Office, receiver: Receiver) -> None:
    hook = office.subscribe(receiver.url)
    receiver.answers = [(410, {})]
    await office.tell(change(), change("c2"))
    await office.send()
    await office.tell(change("c3"))
    await office.send()
    assert len(receiver.got) == 1
    found = office.store.get(hook, AT_MS)
    assert found is not None
    assert found.status == "disabled"
    assert {status for status, _ in office.states(hook)} == {"dead"}


async def test_a_worker_that_dies_while_sending_leaves_it_to_another(office: Office, receiver: Receiver) -> None:
    hook = office.subscribe(receiver.url)
    await office.tell(change())
    assert len(office.store.claim(AT_MS, 60_000, 5)) == 1  # and then it is gone
    assert await office.send() == 0
    office.now_s += 61
    assert await office.send() == 1
    assert office.states(hook) == [("delivered", 1)]


async def test_a_new_secret_signs_beside_the_old_one_for_a_while(office: Office, receiver: Receiver) -> None:
    hook = office.subscribe(receiver.url)
    old = secret_of(MASTER, hook, office.store.get(hook, AT_MS).salts[0])  # type: ignore[union-attr]
    assert office.store.renew_secret(hook, AT_MS + 60_000)
    new = secret_of(MASTER, hook, office.store.get(hook, AT_MS).salts[0])  # type: ignore[union-attr]
    assert new != old
    office.store.ping(hook, AT_MS)
    await office.send()
    for secret in (old, new):
        assert receiver.opened(secret)["type"] == "webhook.ping"
    office.now_s += 61
    office.store.ping(hook, AT_MS)
    await office.send()
    assert receiver.opened(new)["data"] == {"webhook_id": hook}
    with pytest.raises(Exception, match="signature"):
        receiver.opened(old)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/hook",
        "ftp://example.org/",
        "https://",
        "https://user:secret@example.org/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:192.168.0.1]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:7f00:1::]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://localhost/",
        "https://printer.local/",
        "https://example.org:99999/",
    ],
)
async def test_it_does_not_go_inside(url: str) -> None:
    with pytest.raises(Refused):
        check_url(url, private=False)


async def test_a_name_that_leads_inside_is_refused_when_it_is_looked_up(office: Office, receiver: Receiver) -> None:
    check_url("https://example.org:8443/hook?a=b", private=False)
    resolver = GuardedResolver(private=False)
    with pytest.raises(OSError, match="no public address"):
        await resolver.resolve("localhost", 80)
    await resolver.close()
    port = receiver.url.rsplit(":", 1)[1]
    guarded = WebhookSender(office.store, MASTER, SenderOptions(private=False))
    async with guarded.session() as session:
        with pytest.raises(OSError, match="no public address"):
            await session.post(f"http://localhost:{port}")
    assert receiver.got == []
