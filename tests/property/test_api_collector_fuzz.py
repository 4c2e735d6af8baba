"""Whatever body comes, the collector answers 202, 400 or 413, and accounts for every event."""

from __future__ import annotations

import asyncio
import json

from collector_app import PLAYER, collector_client, player_event
from hypothesis import given, settings
from hypothesis import strategies as st

JSON_TYPE = PLAYER | {"content-type": "application/json"}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
odd_events = st.builds(
    lambda changes, n: player_event(n, **changes),
    st.dictionaries(
        st.sampled_from([*player_event(), "duration_s", "device", "decision_id", "registered"]), anything, max_size=4
    ),
    st.integers(0, 1000),
)


def send(body: bytes):
    async def post():
        client, producer = collector_client()
        return await client.post("/v1/events", content=body, headers=JSON_TYPE), producer

    return asyncio.run(post())


@settings(max_examples=150, deadline=None)
@given(st.lists(odd_events | anything, max_size=6))
def test_every_event_is_taken_or_named_and_kept(events):
    response, producer = send(json.dumps({"events": events}).encode())
    if response.status_code == 400:  # NaN and Infinity are Python's, not JSON's
        assert len(producer.dead()) == 1
        return
    assert response.status_code == 202
    answer = response.json()
    assert answer["accepted"] + len(answer["errors"]) == len(events)
    assert len(producer.events()) == answer["accepted"]
    assert len(producer.dead()) == len(answer["errors"])


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200)
    | st.builds(lambda a, b: b'{"events":[' + a + b, st.binary(max_size=60), st.sampled_from([b"", b"]", b"]}"]))
)
def test_no_bytes_make_a_500(body):
    response, producer = send(body)
    assert response.status_code in (202, 400)
    if response.status_code == 400:
        assert producer.dead()[0].original == body


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_cut_or_flipped_body_makes_no_500(data):
    body = bytearray(json.dumps({"events": [player_event(n) for n in range(3)]}).encode())
    if data.draw(st.booleans()):
        del body[data.draw(st.integers(0, len(body) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    response, _ = send(bytes(body))
    assert response.status_code in (202, 400)
