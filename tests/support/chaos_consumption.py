"""Consumption of a chaos run: reports as of trends, their records as cells, and what a reader of the store must see."""

from __future__ import annotations

from chaos_plan import Send, Step, good
from chaos_recount_reports import ReportRecount
from chaos_reports import ReportPlan

from cuepoint.schemas.codec import decoder
from cuepoint.schemas.consumption import Consumption
from cuepoint.schemas.topics import CONSUMPTION
from cuepoint.schemas.trends import ReportCompleted, ReportOpened

_decode = decoder(Consumption | ReportOpened | ReportCompleted).decode


class ConsumptionPlan:
    """``step()`` gives the next records. Late, repeated, revised, broken off and spoilt as ReportPlan's are."""

    def __init__(self, seed: int, partitions: int) -> None:
        self._reports = ReportPlan(seed + 1_000_000, partitions, assets=8, step_sends=12)

    def step(self) -> Step:
        return [_as_consumption(send) for send in self._reports.step()]


def _as_consumption(send: Send) -> Send:
    value = send.value and send.value.replace(b"trend-record.v", b"consumption.v")
    if send.message is None:
        return send._replace(topic=CONSUMPTION, value=value)
    return good(CONSUMPTION, send.key, send.partition, _decode(value or b""))


class ConsumptionRecount(ReportRecount):
    """As of trends, but no day is too old or too far ahead, and none waits for others."""

    record_type = "consumption.v1"

    def visible(self) -> dict[tuple[str, str, str, str], int]:
        """What a reader sees: count by asset, DSP, territory and day of the newest whole report."""
        return {
            (asset, dsp, territory, day.isoformat()): count
            for (dsp, territory), days in self.accepted.items()
            for day, counts in days.items()
            for asset, count in counts.items()
        }

    def _refused_day(self, *_: object) -> str:
        return ""

    def _score_next(self) -> bool:
        return False
