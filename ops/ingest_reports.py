"""Reports in band: markers, records and cells, each to the partition it belongs to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from cuepoint.models.ingest_privacy import NOBODY, Group, Tally, merge_small, merge_to_size
from cuepoint.ops.ingest_rows import Report
from cuepoint.schemas.base import Contract
from cuepoint.schemas.consumption import Consumption
from cuepoint.schemas.quarantine import Quarantined
from cuepoint.schemas.topics import CONSUMPTION, QUARANTINE, REPORTS, TREND_RECORDS, Topic
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, ReportWithdrawn, TrendRecord


class Sender(Protocol):
    """What ingest needs of a producer (``cuepoint.streams.producer.SyncProducer``)."""

    def send(
        self, topic: Topic, key: str, message: Contract, *, id: str = "", partition: int | None = None
    ) -> None: ...

    def flush(self, timeout_s: float = 30.0) -> None: ...


class Nowhere:
    """A sender that sends nothing, for a dry run."""

    def send(self, topic: Topic, key: str, message: Contract, *, id: str = "", partition: int | None = None) -> None:
        pass

    def flush(self, timeout_s: float = 30.0) -> None:
        pass


class Privacy(NamedTuple):
    """``consumers_min``: the fewest persons a cell may tell of; ``cells_max``: of an asset in quarantine."""

    consumers_min: int = 10
    cells_max: int = 2000


class ReportSender:
    """``partition_of(key, partitions)`` says where a record goes."""

    def __init__(
        self,
        sender: Sender,
        trend_partitions: int,
        consumption_partitions: int,
        partition_of: Callable[[bytes, int], int],
        privacy: Privacy,
    ) -> None:
        self._sender, self._privacy = sender, privacy
        self._partitions = {TREND_RECORDS: trend_partitions, CONSUMPTION: consumption_partitions}
        # The same assets return day after day, and murmur2 in Python costs as much as all else of a record.
        self._partition_of = functools.lru_cache(maxsize=1 << 17)(partition_of)

    def send(self, report: Report, assets: Iterable[tuple[str, dict[Group, Tally]]], size: int, source: str) -> int:
        """A whole report: ``size`` assets with their cells. How many cells were sent."""
        about = _about(report) | {"source": source}
        opened = ReportOpened(**about)
        self._everywhere(report.dsp, opened)
        self._sender.send(REPORTS, report.dsp, opened)
        sent = {topic: [0] * count for topic, count in self._partitions.items()}
        record: dict[str, Any] = {
            "dsp": report.dsp,
            "territory": report.territory,
            "day": report.day,
            "report_version": report.version,
        }
        for asset_id, cells in assets:
            count = sum(tally.count for tally in cells.values())
            self._place(TREND_RECORDS, TrendRecord(asset_id=asset_id, count=count, **record), sent)
            for group, tally in self._cells(cells):
                self._place(CONSUMPTION, Consumption(asset_id=asset_id, **record, **tally.fields(group)), sent)
        sizes = {TREND_RECORDS: size, CONSUMPTION: sum(sent[CONSUMPTION])}
        for topic, counts in sent.items():
            for partition, count in enumerate(counts):
                in_band = ReportCompleted(**about, records=sizes[topic], partition_records=count)
                self._sender.send(topic, report.dsp, in_band, partition=partition)
        self._sender.send(REPORTS, report.dsp, ReportCompleted(**about, records=size))
        return sizes[CONSUMPTION]

    def quarantine(
        self, report: Report, unknown: Iterable[tuple[Sequence[str], dict[Group, Tally]]], source: str
    ) -> int:
        """What the report says of assets nobody has told us of, behind a marker that takes away what an earlier version
        said. How many assets."""
        completed = ReportCompleted(**_about(report), source=source, records=0)
        self._sender.send(QUARANTINE, report.dsp, completed)
        number = 0
        for names, cells in unknown:
            number += 1
            count = sum(tally.count for tally in cells.values())
            told = dict(self._cells(cells))
            if len(told) > self._privacy.cells_max:
                told = merge_to_size(told, self._privacy.consumers_min, self._privacy.cells_max)
            message = Quarantined(
                identifiers=list(names),
                day=report.day,
                dsp=report.dsp,
                territory=report.territory,
                report_version=report.version,
                count=count,
                cells=[tally.cell(group) for group, tally in told.items()],
            )
            self._sender.send(QUARANTINE, names[0], message)
        return number

    def withdraw(self, report: Report) -> None:
        """Take a report back, wherever it went."""
        withdrawn = ReportWithdrawn(**_about(report))
        self._everywhere(report.dsp, withdrawn)
        self._sender.send(QUARANTINE, report.dsp, withdrawn)

    def _cells(self, cells: dict[Group, Tally]) -> Iterable[tuple[Group, Tally]]:
        """Only cells of enough persons; one that says no more than the trend record does may be of any."""
        if len(cells) == 1:
            alone = cells.get(NOBODY)
            if alone is not None and alone.members is None:
                return cells.items()
        return merge_small(cells, self._privacy.consumers_min).items()

    def _everywhere(self, key: str, message: Contract) -> None:
        for topic, count in self._partitions.items():
            for partition in range(count):
                self._sender.send(topic, key, message, partition=partition)

    def _place(self, topic: Topic, message: TrendRecord | Consumption, sent: dict[Topic, list[int]]) -> None:
        partition = self._partition_of(message.asset_id.encode(), self._partitions[topic])
        sent[topic][partition] += 1
        self._sender.send(topic, message.asset_id, message, partition=partition)


def _about(report: Report) -> dict[str, Any]:
    return {"dsp": report.dsp, "territory": report.territory, "day": report.day, "version": report.version}
