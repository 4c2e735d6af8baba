"""A whole playback half on the broker: API, session worker, counting worker; a rule changed, a browser that clicks."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import ours
from machine import Place

from cuepoint.schemas.topics import PLAYER_EVENTS
from cuepoint.streams.embedded_parts import free_port
from cuepoint.streams.topics_admin import create_topics

PLAYER, ADMIN = "bench-player", "bench-admin"
PLAYING_S, WAIT_S, PAUSE_S = 0.02, 30.0, 0.15
CLICK_RULE = "on-click"
_CLICKS = """async ({session, token, clicks, pause_ms}) => {
  const waiting = new Map(), told = [];
  const stream = new EventSource(`/v1/sessions/${session}/decisions/stream?token=${token}`);
  stream.addEventListener('decision', (message) => {
    const done = waiting.get(JSON.parse(message.data).event_id);
    if (done) done(performance.now());
  });
  await new Promise((ready, failed) => { stream.onopen = ready; stream.onerror = failed; });
  for (let n = 0; n < clicks; n++) {
    const event_id = `${session}-${n + 10}`;
    const shown = new Promise((done) => waiting.set(event_id, done));
    const event = {type: 'player-event.v1', session_id: session, event_id, seq: n + 10, at: Date.now(),
                   kind: 'clicked', video_id: 'v', position_s: 1, action: 'bench'};
    const began = performance.now();
    const answer = await fetch(`/v1/events?token=${token}`, {method: 'POST', body: JSON.stringify({events: [event]}),
                                                            headers: {'content-type': 'application/json'}});
    if (answer.status !== 202) throw new Error(`${answer.status}`);
    told.push(await shown - began);
    await new Promise((next) => setTimeout(next, pause_ms));
  }
  stream.close();
  return told;
}"""


class System(NamedTuple):
    """Where its API answers."""

    url: str

    def ask(self, method: str, path: str, key: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@contextlib.contextmanager
def system(place: Place, prefix: str) -> Iterator[System]:
    """Up until the block ends."""
    create_topics(place.broker, 4, prefix=prefix)
    other = place.other_cores[:1]
    with (
        ours.workers(place, "sessions", PLAYER_EVENTS, prefix, f"{prefix}sessions") as composing,
        ours.workers(place, "counts", PLAYER_EVENTS, prefix, f"{prefix}counts", other) as counting,
        _api(place, prefix) as made,
    ):
        ours.until_ready(place, composing)
        ours.until_ready(place, counting)
        yield made


@contextlib.contextmanager
def _api(place: Place, prefix: str) -> Iterator[System]:
    port, folder = free_port(), place.folder / f"{prefix}api"
    folder.mkdir()
    settings = {
        "CUEPOINT_BROKER": place.broker,
        "CUEPOINT_REDIS_URL": place.redis_url,
        "CUEPOINT_DATABASE_URL": f"sqlite:///{folder}/history.db",
        "CUEPOINT_DATA_DIR": str(folder),
        "CUEPOINT_TOPIC_PREFIX": prefix,
        "CUEPOINT_API_PORT": str(port),
        "CUEPOINT_API_KEYS": PLAYER,
        "CUEPOINT_ADMIN_KEY": ADMIN,
        "CUEPOINT_ACCESS_LOG": "false",
        "CUEPOINT_LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, "-m", "cuepoint.ops.cli", "api"], env=os.environ | settings)
    made = System(f"http://127.0.0.1:{port}")
    try:
        _until(lambda: _answers(made), "the API")
        yield made
    finally:
        process.terminate()
        process.wait(20)


def rule_change_s(made: System, changes: int) -> float:
    """Median seconds from sending a rule until the first event of a running session that it decides on was received."""
    session, seq = "changing", iter(range(10**9))
    _say(made, session, next(seq), "video_started", duration_s=3600)
    found = []
    for number in range(changes):
        rule_id = f"change-{number}"
        rule = {"rule_id": rule_id, "name": rule_id, "insertion": {"at": "action", "action": "hovered"}}
        began = time.time()
        made.ask("PUT", f"/v1/rules/{rule_id}", ADMIN, rule)
        found.append(_effect_at(made, session, seq, rule_id) - began)
        made.ask("DELETE", f"/v1/rules/{rule_id}", ADMIN)
    return statistics.median(found)


def _effect_at(made: System, session: str, seq: Iterator[int], rule_id: str) -> float:
    """When the first event was received at which the rule decided; the session goes on meanwhile."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for _ in range(10):
            _say(made, session, next(seq), "hovered")
            time.sleep(PLAYING_S)
        decisions = made.ask("GET", f"/v1/sessions/{session}/decisions", PLAYER)["decisions"]
        mine = [each["decided_at"] for each in decisions if each["rule_id"] == rule_id]
        if mine:
            return min(mine) / 1000
    raise TimeoutError(f"{rule_id} had no effect in {WAIT_S:.0f} s")


def browser_ms_p99(made: System, clicks: int) -> float | None:
    """From a click's POST until its decision came by server-sent event, as Chromium's clock has it; None without it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return None
    from playwright.sync_api import sync_playwright

    point = {"at": "action", "action": "clicked", "value": "bench"}
    rule = {"rule_id": CLICK_RULE, "name": CLICK_RULE, "insertion": point}
    made.ask("PUT", f"/v1/rules/{CLICK_RULE}", ADMIN, rule)
    session, seq = "browser", iter(range(10))
    token = _say(made, session, next(seq), "video_started", duration_s=3600)["tokens"][session]
    time.sleep(1.5)  # the rule's lead: from then on every click decides
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{made.url}/healthz")
        asked = {"session": session, "token": token, "clicks": clicks + 5, "pause_ms": PAUSE_S * 1000}
        told = page.evaluate(_CLICKS, asked)[5:]  # the first warm connections up
        browser.close()
    sys.stderr.write(f"browser: median {statistics.median(told):.1f} ms, most {max(told):.1f} ms\n")
    return statistics.quantiles(told, n=100, method="inclusive")[98]


def _say(made: System, session: str, seq: int, kind: str, **more: Any) -> Any:
    event = {"type": "player-event.v1", "session_id": session, "event_id": f"{session}-{seq}", "seq": seq, "kind": kind}
    event |= {"at": time.time_ns() // 1_000_000, "video_id": "v", "position_s": 1} | more
    return made.ask("POST", "/v1/events", PLAYER, {"events": [event]})


def _answers(made: System) -> bool:
    try:
        made.ask("GET", "/v1/rules", ADMIN)
    except (urllib.error.URLError, OSError):
        return False
    return True


def _until(there: Any, what: str) -> None:
    deadline = time.monotonic() + WAIT_S * 3
    while not there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} is not there")
        time.sleep(0.1)
