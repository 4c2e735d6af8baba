"""Hyperparameters published by command are taken up by a worker that runs, from their day on."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import redis
from stream_helpers import child, environment, read_topic, wait_until

from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import decoder
from cuepoint.schemas.topics import ASSET_DAYS, TREND_RECORDS
from cuepoint.schemas.trends import AssetDay, ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams import heartbeats
from cuepoint.streams.producer import SyncProducer, partition_of
from cuepoint.streams.topic_feed import read_trend_params

pytestmark = pytest.mark.integration
FIRST, DAYS, ASSETS, FROM = dt.date(2020, 1, 1), 45, 8, 30
RUN_ROLE = str(Path(__file__).parent.parent / "support" / "run_role.py")


def on(n: int) -> dt.date:
    return FIRST + dt.timedelta(days=n)


def produce_days(settings: Settings, counts: np.ndarray, days: range) -> None:
    producer, homes = SyncProducer(settings.broker, prefix=settings.topic_prefix), range(settings.partitions)
    for n in days:
        of = {"dsp": "d", "day": on(n)}
        for home in homes:
            producer.send(TREND_RECORDS, "m", ReportOpened(**of), partition=home)
        for i, count in enumerate(counts[n].tolist()):
            producer.send(TREND_RECORDS, f"s{i}", TrendRecord(**of, asset_id=f"s{i}", count=count))
        for home in homes:
            here = sum(partition_of(f"s{i}".encode(), settings.partitions) == home for i in range(ASSETS))
            completed = ReportCompleted(**of, records=ASSETS, partition_records=here)
            producer.send(TREND_RECORDS, "m", completed, partition=home)
    producer.flush()
    producer.close()


def in_force(settings: Settings) -> str:
    """What the worker's /metrics say."""
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        [beat] = [b for b in heartbeats.read_all_sync(client) if b.role == "trends" and b.state != "stopping"]
    with urllib.request.urlopen(f"http://127.0.0.1:{beat.metrics_port}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("cuepoint_trend_params_version "))


def days_told(settings: Settings) -> list[AssetDay]:
    return [decoder(AssetDay).decode(message.value()) for message in read_topic(settings, ASSET_DAYS)]


def fit(settings: Settings, path: Path, *more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cuepoint.ops.cli", "fit", str(path), "--publish", *more],
        env=environment(settings), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_published_version_is_taken_up_without_a_stop(settings: Settings, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    counts = rng.poisson(np.exp(rng.normal(9, 1, ASSETS) + rng.normal(0, 0.2, (DAYS, ASSETS))))
    path = tmp_path / "counts.csv"
    rows = [f"{on(n)},s{i},{c}" for n, day in enumerate(counts[:FROM].tolist()) for i, c in enumerate(day)]
    path.write_text("\n".join(["date,asset,count", *rows]) + "\n")
    with child([RUN_ROLE, "trends"], environment(settings, CUEPOINT_LOG_LEVEL="WARNING"), tmp_path / "log") as worker:
        produce_days(settings, counts, range(40))
        wait_until(lambda: len(days_told(settings)) == 40 * ASSETS, (tmp_path / "log").read_text)
        assert float(in_force(settings)) == 0
        assert f"published as version 1, from {on(FROM)} on" in fit(settings, path)
        wait_until(lambda: float(in_force(settings)) == 1, "version 1 is in force")
        produce_days(settings, counts, range(40, DAYS))
        told = wait_until(
            lambda: (found := days_told(settings)) and len(found) == (DAYS + 40 - FROM) * ASSETS and found, "all again"
        )
        assert worker.poll() is None
    wide: dict[tuple[str, dt.date], list[float]] = {}
    for day in told:
        wide.setdefault((day.asset_id, day.day), []).append(np.log(day.upper_80 / day.lower_80))
    assert {len(values) for (_, day), values in wide.items() if on(FROM) <= day < on(40)} == {2}
    assert {len(values) for (_, day), values in wide.items() if day < on(FROM)} == {1}
    assert all(values[0] != values[1] for values in wide.values() if len(values) == 2)
    [version] = read_trend_params(settings.broker, settings.topic_prefix)
    assert version.from_day == on(FROM) and version.assets == ASSETS and version.made_by
    assert version.held_out > version.replaced
