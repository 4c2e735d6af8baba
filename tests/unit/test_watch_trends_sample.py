"""The bundled excerpt of real daily streams: known events are found, a fade raises no alarm."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from collections import defaultdict
from pathlib import Path

import pytest

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.schemas.codec import encode
from cuepoint.schemas.topics import CHANGES, DEAD_TREND_RECORDS, TREND_RECORDS
from cuepoint.schemas.trends import Change, ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.batch import Batch

SAMPLE = Path(__file__).parents[2] / "ops" / "samples" / "spotify_us_daily.csv.gz"
# In the chart in each of the three Novembers; found within three days each time. Two more songs return each year and
# are missed in 2017, when they were new to the data (test_seasonal_songs_by_rule counts them).
CHRISTMAS = [
    ("Blue Christmas", "Elvis Presley"),
    ("White Christmas", "Bing Crosby"),
    ("Feliz Navidad", "José Feliciano"),
    ("Run Rudolph Run - Single Version", "Chuck Berry"),
    ("Santa Baby (with Henri René & His Orchestra)", "Eartha Kitt"),
]
# Three of the 6 of the sample's 20 faders that raise no rapid alarm. The other 14 do, mostly on days when the whole
# market moved (Thanksgiving, Christmas, 4 July): there is no market factor yet.
FADERS = [
    ("Be Careful", "Cardi B"),
    ("Startender (feat. Offset and Tyga)", "A Boogie Wit da Hoodie"),
    ("Rake It Up", "Yo Gotti"),
]


class Told:
    """What the agent made of the sample: days an asset was in it, and its changes."""

    def __init__(self) -> None:
        self.days: dict[str, list[dt.date]] = defaultdict(list)
        self.ids: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.changes: dict[str, list[Change]] = defaultdict(list)
        self.dead = 0


@pytest.fixture(scope="module")
def told() -> Told:
    import asyncio

    result, values, reports = Told(), [], defaultdict(list)
    with gzip.open(SAMPLE, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            day = dt.date.fromisoformat(row["date"])
            reports[day].append((row["track_id"], int(row["streams"])))
            result.days[row["track_id"]].append(day)
            if row["track_id"] not in result.ids[row["track"], row["artist"]]:
                result.ids[row["track"], row["artist"]].append(row["track_id"])
    for day, rows in sorted(reports.items()):
        who = {"dsp": "spotify", "territory": "US", "day": day}
        records = [TrendRecord(**who, asset_id=a, count=c) for a, c in rows]
        end = ReportCompleted(**who, records=len(rows), partition_records=len(rows))
        values += [encode(m) for m in (ReportOpened(**who), *records, end)]
    n = len(values)
    batch = Batch(TREND_RECORDS.name, 0, 0, n - 1, values, [None] * n, range(n), [1_600_000_000_000] * n)
    for out in asyncio.run(WatchTrends().process(batch)):
        if out.topic is CHANGES:
            result.changes[out.key].append(out.message)
        result.dead += out.topic is DEAD_TREND_RECORDS
    return result


def returns(days: list[dt.date]) -> list[dt.date]:
    """Starts of seasonal rises: the days a song, not in the chart for four weeks or ever, climbs above its end."""
    return [d for i, d in enumerate(days) if i == 0 or (d - days[i - 1]).days > 28]


@pytest.mark.parametrize("song", CHRISTMAS)
def test_the_rise_of_a_christmas_song_is_flagged_within_three_days_each_december(told: Told, song: tuple[str, str]):
    (asset,) = told.ids[song]
    starts = returns(told.days[asset])
    assert [s.year for s in starts] == [2017, 2018, 2019] and all(s.month == 11 for s in starts)
    opened = [c.day for c in told.changes[asset] if c.status == "opened" and c.direction == "up"]
    for start in starts:
        assert any(0 <= (day - start).days <= 3 for day in opened), (song, start, opened)


def test_seasonal_songs_by_rule(told: Told):
    """Not by name: every track that is only ever in the chart from November to 6 January, comes in all three years
    and stays at least eight of its first fourteen days."""
    found: dict[int, list[bool]] = defaultdict(list)
    for asset, days in told.days.items():
        starts = returns(days)
        stays = [sum(s <= d < s + dt.timedelta(days=14) for d in days) >= 8 for s in starts]
        seasonal = all((d.month, d.day) >= (11, 1) or (d.month, d.day) <= (1, 6) for d in days)
        if not (seasonal and all(stays) and [s.year for s in starts if s.month >= 11] == [2017, 2018, 2019]):
            continue
        opened = [c.day for c in told.changes[asset] if c.status == "opened" and c.direction == "up"]
        for start in starts:
            found[start.year].append(any(0 <= (day - start).days <= 3 for day in opened))
    assert {year: len(hits) for year, hits in found.items()} == {2017: 7, 2018: 7, 2019: 7}
    assert sum(found[2017]) >= 5 and all(found[2018]) and all(found[2019])


@pytest.mark.parametrize("song", CHRISTMAS)
def test_its_fall_after_christmas_is_flagged_at_once(told: Told, song: tuple[str, str]):
    (asset,) = told.ids[song]
    falls = [d for d in told.days[asset] if (d.month, d.day) == (12, 26)]
    opened = {c.day for c in told.changes[asset] if c.status == "opened" and (c.direction, c.kind) == ("down", "rapid")}
    assert falls and set(falls) <= opened


@pytest.mark.parametrize("song", FADERS)
def test_a_slow_fader_raises_no_rapid_alarm(told: Told, song: tuple[str, str]):
    (asset,) = [a for a in told.ids[song] if len(told.days[a]) >= 120 and told.days[a][0] >= dt.date(2017, 10, 1)]
    assert len(told.days[asset]) >= 120
    assert not [c for c in told.changes[asset] if c.kind == "rapid"]


def test_ids_revisions_and_endings_are_consistent(told: Told):
    assert told.dead == 0
    for changes in told.changes.values():
        by_id = defaultdict(list)
        for change in changes:
            by_id[change.change_id].append(change)
        for words in by_id.values():
            assert [w.revision for w in words] == list(range(1, len(words) + 1))
            assert words[0].status == "opened" and all(w.status in ("updated", "closed") for w in words[1:])
            assert all(w.status == "updated" for w in words[1:-1])
