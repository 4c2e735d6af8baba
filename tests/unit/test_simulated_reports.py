"""The simulated catalogue that goes beside real reports: whole reports of labelled assets, the same each time."""

from __future__ import annotations

import datetime as dt

from cuepoint.ops.ingest_reports import Privacy, ReportSender
from cuepoint.ops.simulated_reports import SimulatedReports
from cuepoint.schemas.base import Contract
from cuepoint.schemas.consumption import Consumption
from cuepoint.schemas.topics import CONSUMPTION, TREND_RECORDS, Topic
from cuepoint.schemas.trends import Asset, ReportCompleted, TrendRecord
from cuepoint.streams.producer import partition_of

FIRST = dt.date(2017, 1, 1)


class Kept:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Contract]] = []

    def send(self, topic: Topic, key: str, message: Contract, *, id: str = "", partition: int | None = None) -> None:
        self.sent.append((topic.name, message))

    def flush(self, timeout_s: float = 30.0) -> None: ...


def sent(*days: int) -> list[tuple[str, Contract]]:
    kept = Kept()
    simulated = SimulatedReports(kept, ReportSender(kept, 1, 4, partition_of, Privacy()), assets=6)
    for day in days:
        simulated.send(FIRST + dt.timedelta(days=day))
    return kept.sent


def test_every_record_is_labelled_and_every_report_is_whole() -> None:
    messages = sent(0)
    assets = [each for _, each in messages if isinstance(each, Asset)]
    assert len(assets) == 6
    assert all(each.title.endswith("(simulated)") and each.artist.endswith("(simulated)") for each in assets)
    records = [each for _, each in messages if isinstance(each, TrendRecord | Consumption)]
    assert records
    assert all(each.asset_id.startswith("sim-") and each.dsp.startswith("sim-") for each in records)
    for topic, kind in ((TREND_RECORDS, TrendRecord), (CONSUMPTION, Consumption)):
        told = [each for name, each in messages if name == topic.name and isinstance(each, ReportCompleted)]
        counted = sum(isinstance(each, kind) for _, each in messages)
        assert sum(each.partition_records or 0 for each in told) == counted


def test_a_day_the_real_reports_lack_is_sent_with_the_next() -> None:
    """The same reports, whichever days are asked for; none twice."""
    assert sent(0, 3, 3) == sent(0, 1, 2, 3)
    days = {each.day for _, each in sent(0, 3) if isinstance(each, TrendRecord)}
    assert days == {FIRST + dt.timedelta(days=day) for day in range(4)}
