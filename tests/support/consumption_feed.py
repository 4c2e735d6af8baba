"""The consumption store's writer driven by hand: a log of one partition, an agent that may die anywhere."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cuepoint.agents.store_consumption import StoreConsumption
from cuepoint.schemas.base import Contract
from cuepoint.schemas.codec import encode
from cuepoint.schemas.consumption import Cell, Consumption, ConsumptionAmendment
from cuepoint.schemas.topics import CONSUMPTION
from cuepoint.schemas.trends import ReportCompleted, ReportOpened, ReportWithdrawn
from cuepoint.streams.batch import Batch
from cuepoint.streams.consumption_catalogue import ConsumptionCatalogue
from cuepoint.streams.consumption_files import ParquetFiles
from cuepoint.streams.consumption_store import ConsumptionStore
from cuepoint.streams.consumption_writer import ConsumptionWriter
from cuepoint.streams.database import open_engine, upgrade

DAY = dt.date(2026, 3, 2)
_ALL = itertools.repeat(10_000)


def cell(asset_id: str, count: int, **changes: Any) -> Consumption:
    values: dict[str, Any] = {"asset_id": asset_id, "day": DAY, "dsp": "dsp1", "count": count}
    return Consumption(**(values | changes))


def report(cells: list[Consumption], version: int = 1, day: dt.date = DAY, dsp: str = "dsp1") -> list[Contract]:
    """A report of one partition: opened, its cells, completed."""
    of: dict[str, Any] = {"dsp": dsp, "day": day, "version": version}
    inside = [
        Consumption(
            **{name: getattr(each, name) for name in each.__struct_fields__}
            | {"report_version": version, "day": day, "dsp": dsp}
        )
        for each in cells
    ]
    completed = ReportCompleted(**of, records=len(cells), partition_records=len(cells))
    return [ReportOpened(**of), *inside, completed]


def withdrawal(version: int = 1, day: dt.date = DAY, dsp: str = "dsp1") -> list[Contract]:
    return [ReportWithdrawn(dsp=dsp, day=day, version=version)]


def amendment(asset_id: str, count: int, version: int = 1, part: str = "isrc:X", **changes: Any) -> list[Contract]:
    values: dict[str, Any] = {
        "asset_id": asset_id,
        "day": DAY,
        "dsp": "dsp1",
        "part": part,
        "cells": [Cell(count=count)],
    }
    return [ConsumptionAmendment(**(values | {"report_version": version} | changes))]


def batch_of(messages: list[Contract], first: int = 0, partition: int = 0) -> Batch:
    values = [encode(message) for message in messages]
    offsets = list(range(first, first + len(values)))
    end = first + len(values)
    return Batch(
        CONSUMPTION.name, partition, first, end - 1, values, [None] * len(values), offsets, [0] * len(values), end
    )


class Feed:
    """A store in a folder, and an agent over it that keeps nothing on its own between ``restart``s."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.root = folder / "consumption"
        self.engine = open_engine(f"sqlite:///{folder}/catalogue.db")
        upgrade(self.engine)
        self.catalogue = ConsumptionCatalogue(self.engine)
        self.files = ParquetFiles(self.root)
        self.store = ConsumptionStore(self.root, self.engine)
        self.options = {"flush_interval_s": 0.0} | options
        self.log: dict[int, list[Contract]] = {}
        self.restart()

    def restart(self, writer: Any = None) -> None:
        """A new agent, as after a crash."""
        self.agent = StoreConsumption(writer or ConsumptionWriter(self.catalogue, self.files), **self.options)

    def send(self, messages: list[Contract], partition: int = 0) -> None:
        self.log.setdefault(partition, []).extend(messages)

    def run(self, chunks: list[int] | None = None) -> list[Any]:
        """Read each partition's log from where the store stands to its end, in chunks; gives the dead letters."""
        return asyncio.run(self._run(chunks or [10_000]))

    async def _run(self, chunks: list[int]) -> list[Any]:
        letters: list[Any] = []
        sizes = itertools.cycle(chunks)
        for partition in self.log:
            letters += await self.read(partition, sizes)
        return letters

    async def read(self, partition: int, sizes: Iterator[int] | None = None) -> list[Any]:
        """The partition's log from where the store stands to its end; gives the dead letters."""
        letters: list[Any] = []
        log, last = self.log[partition], await self.agent.position(CONSUMPTION.name, partition)
        at = -1 if last is None else last
        while at + 1 < len(log):
            batch = batch_of(log[at + 1 : at + 1 + next(sizes or _ALL)], at + 1, partition)
            letters += [each.message for each in await self.agent.process(batch)]
            self.agent.told(partition)
            at = batch.last
        await self.agent.flush(only_due=False)
        return letters

    def visible(self) -> dict[tuple[Any, ...], int]:
        """count by (asset, dsp, day) as a reader sees it."""
        found = self.store.totals(("asset_id", "dsp", "day"))
        keys = zip(found["asset_id"], found["dsp"], found["day"].astype(str), strict=True)
        return dict(zip(keys, found["count"].tolist(), strict=True))
