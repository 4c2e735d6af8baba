"""``cuepoint run``: the whole system on one machine, as children of this process, while somebody looks at it."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import redis

from cuepoint.ops.embedded_children import (
    ROLES,
    Place,
    child_environment,
    require_alive,
    start_child,
    stop_all,
    trend_partitions,
)
from cuepoint.ops.embedded_folder import new_folder, port_trouble
from cuepoint.ops.embedded_ready import wait_until_ready, write_targets
from cuepoint.ops.embedded_samples import seed_samples
from cuepoint.ops.settings import Settings
from cuepoint.ops.status import Status, StatusView
from cuepoint.ops.status_numbers import read_numbers, read_recorded
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.streams.database import open_engine
from cuepoint.streams.embedded_parts import Part, free_port, start_broker, start_redis
from cuepoint.streams.history_reads import HistoryReader
from cuepoint.streams.topics_admin import create_topics

_LOOK_EVERY_S = 0.25
_DRAIN_S = 4.0
_STOP_S = 6.0


@dataclass(frozen=True)
class EmbeddedOptions:
    """What was asked for on the command line. ``seconds`` None: until somebody ends it."""

    seconds: float | None
    port: int
    days_per_s: float
    sessions: int
    simulated: int  # assets of the simulated catalogue beside the sample
    open_browser: bool


def run_embedded(options: EmbeddedOptions, settings: Settings) -> int:
    """Start all parts, show them, stop them. Returns the exit code; the last line of standard output is a JSON object.

    Raises ConfigurationError (ports, binaries, disk), ChildDied, Unavailable; whatever happens, no child remains.
    """
    began = time.monotonic()
    port = options.port or free_port()
    if trouble := port_trouble("127.0.0.1", port):
        raise ConfigurationError(
            f"port {port} cannot be used ({trouble}): choose another with --port, "
            "or end what listens there (--port 0 takes any free one)"
        )
    folder = new_folder(settings.data_dir)
    with _stop_signals() as stopping:
        run = EmbeddedRun(options, settings, folder, Status(f"http://127.0.0.1:{port}/", began), stopping)
        try:
            outcome = run.play()
        finally:
            run.stop()
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()
    return 0


class EmbeddedRun:
    """The parts of one run, in the order of their start."""

    def __init__(
        self, options: EmbeddedOptions, settings: Settings, folder: Path, status: Status, stopping: threading.Event
    ) -> None:
        self._options, self._settings, self._folder = options, settings, folder
        self._status, self._stopping = status, stopping
        self._end = status.began + (options.seconds or float("inf"))
        self._stores: list[Part] = []  # broker and Redis: the last to go
        self._workers: list[Part] = []
        self._sources: list[Part] = []  # what makes records and events: the first to go

    def play(self) -> dict[str, float | int | None]:
        """Everything from the start to the last figures."""
        with StatusView(self._status) as view:
            place = self._start(view)
            client = redis.Redis.from_url(place.redis_url)
            if wait_until_ready([*self._stores, *self._workers], client, place, view, self._is_over):
                write_targets(self._folder / "metrics-targets.json", read_numbers(client, 1), place)
                rules = seed_samples(place)
                view.say(f"Console: {place.console}  ({rules} rules, logs in {self._folder})")
                self._start_sources(place)
                if self._options.open_browser:
                    webbrowser.open(place.console)
                self._watch(client, place, view)
        return self._outcome()

    def _is_over(self) -> bool:
        return self._stopping.is_set() or time.monotonic() >= self._end

    def _outcome(self) -> dict[str, float | int | None]:
        numbers, recorded = self._status.numbers, self._status.recorded
        first = self._status.first_alert_s
        return {
            "trend_records": numbers.trend_records,
            "changes": recorded.changes,
            "player_events": numbers.player_events,
            "decisions": recorded.decisions,
            "dead_letters": recorded.dead_letters,
            "seconds_to_first_alert": None if first is None else round(first, 2),
        }

    def stop(self) -> None:
        """End all children: sources, workers, then the stores they write to."""
        stop_all(self._sources, 1.0)
        stop_all(self._workers, _STOP_S)
        stop_all(self._stores, 2.0)

    def _start(self, view: StatusView) -> Place:
        self._status.parts = dict.fromkeys(("broker", "redis", *ROLES, "api"), "starting")
        view.show()
        broker = start_broker(self._folder)
        self._stores.append(broker)
        self._status.parts["broker"] = "ready"
        store = start_redis(self._folder)
        self._stores.append(store)
        self._status.parts["redis"] = "ready"
        create_topics(broker.address, self._settings.partitions, trend_partitions=trend_partitions(self._settings))
        keys = self._settings.player_keys()
        place = Place(
            folder=self._folder,
            broker=broker.address,
            redis_url=store.address,
            console=self._status.console,
            admin_key=self._settings.admin_key.get_secret_value() or secrets.token_urlsafe(24),
            player_key=keys[0] if keys else secrets.token_urlsafe(24),
        )
        self._environment = child_environment(place, self._settings)
        for role in ROLES:
            self._workers.append(start_child(role, ["worker", role], self._folder, self._environment))
        self._workers.append(start_child("api", ["api"], self._folder, self._environment))
        return place

    def _start_sources(self, place: Place) -> None:
        sample = str(resources.files("cuepoint.ops") / "samples" / "spotify_us_daily.csv.gz")
        speed = str(self._options.days_per_s)
        replay = ["ingest", sample, "--preset", "spotify-charts", "--speed", speed]
        replay += ["--simulated", str(self._options.simulated)]
        self._sources.append(start_child("replay", replay, self._folder, self._environment))
        if self._options.sessions:
            viewers = ["simulate", "--sessions", str(self._options.sessions), "--api", place.console.rstrip("/")]
            self._sources.append(start_child("viewers", viewers, self._folder, self._environment))
        self._status.parts.update({part.name: "running" for part in self._sources})

    def _watch(self, client: redis.Redis, place: Place, view: StatusView) -> None:
        engine = open_engine(place.database_url)
        try:
            history = HistoryReader(engine)
            while not self._is_over():
                require_alive([*self._stores, *self._workers])
                for part in self._sources:
                    if part.process.poll() == 0:
                        self._status.parts[part.name] = "done"
                    else:
                        require_alive([part])
                self._look(client, history, view)
                self._stopping.wait(_LOOK_EVERY_S)
            self._end_sources(client, history, view)
        finally:
            engine.dispose()

    def _look(self, client: redis.Redis, history: HistoryReader, view: StatusView) -> None:
        status = self._status
        status.numbers = read_numbers(client, trend_partitions(self._settings))
        for role in ROLES:
            status.parts[role] = status.numbers.states.get(role, "starting")
        status.recorded = read_recorded(history)
        if status.first_alert_s is None and status.recorded.changes:
            status.first_alert_s = time.monotonic() - status.began
            view.say(f"First alert after {status.first_alert_s:.1f} s: {status.console}changes")
        view.show()

    def _end_sources(self, client: redis.Redis, history: HistoryReader, view: StatusView) -> None:
        """Stop what comes in, and let the workers finish what is there, so that the last figures are whole."""
        view.say("Stopping.")
        stop_all(self._sources, 1.0)
        deadline = time.monotonic() + _DRAIN_S
        before = None
        while time.monotonic() < deadline:
            self._look(client, history, view)
            now = (self._status.numbers, self._status.recorded)
            if now == before and not self._status.numbers.lag:
                return
            before = now
            time.sleep(0.6)  # longer than a heartbeat


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one ends us at once (the children go with us)."""
    stopping = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, _frame: object) -> None:
        stopping.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
