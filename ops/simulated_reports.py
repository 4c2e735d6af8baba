"""A simulated catalogue sent beside real reports, day by day (``cuepoint run``): so that causes and opportunities,
which no public chart tells, can be seen at work. Labelled: ``sim-`` ids and services, titles end in
"(simulated)"."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from cuepoint.models.catalogue_days import Cells, SimulatedCatalogue
from cuepoint.models.catalogue_truth import artist_of, asset_name, title_of
from cuepoint.models.catalogue_world import ACTIVE_CONTEXTS, CONTEXTS, DEVICES, DSPS, TERRITORIES, CatalogueParams
from cuepoint.models.ingest_privacy import Group, Tally
from cuepoint.ops.ingest_reports import ReportSender, Sender
from cuepoint.ops.ingest_rows import Report
from cuepoint.schemas.topics import ASSETS
from cuepoint.schemas.trends import Asset

SEED = 296  # its first changes come soon, and of several kinds
_DAYS, _EVENT_DAYS = 1200, 400
_TERRITORIES = 3  # the first of TERRITORIES; a report for each of them and each service


class SimulatedReports:
    """The same number of assets and first day, the same reports. Call ``send`` with each day of the real reports."""

    def __init__(self, sender: Sender, reports: ReportSender, assets: int, seed: int = SEED) -> None:
        self._sender, self._reports, self._assets, self._seed = sender, reports, assets, seed
        self._days: Iterator[tuple[dt.date, Iterator[Cells]]] | None = None
        self._ahead: tuple[dt.date, Iterator[Cells]] | None = None

    def send(self, day: dt.date) -> None:
        """The reports of every simulated day up to ``day``; the catalogue begins with the first day asked for."""
        if self._days is None:
            self._begin(day)
        assert self._days is not None
        while self._ahead is not None and self._ahead[0] <= day:
            date, blocks = self._ahead
            for cells in blocks:
                self._send(date, cells)
            self._ahead = next(self._days, None)

    def _begin(self, day: dt.date) -> None:
        params = CatalogueParams(
            assets=self._assets,
            days=_DAYS,
            first_day=day,
            median_count=500.0,
            size_sd=0.8,
            event_share=1.0,
            event_days=_EVENT_DAYS,
            new_share=0.0,
            gaps=0.0,
            groups=False,
        )
        self._catalogue = SimulatedCatalogue(params, self._seed)
        for number in range(self._assets):
            name = asset_name(number)
            about = Asset(asset_id=name, title=title_of(number), artist=artist_of(number), owner="Simulated label")
            self._sender.send(ASSETS, name, about)
        self._days = self._catalogue.days()
        self._ahead = next(self._days, None)

    def _send(self, day: dt.date, cells: Cells) -> None:
        order = np.lexsort((cells.asset, cells.territory, cells.dsp))
        rows = zip(*(getattr(cells, name)[order].tolist() for name in Cells.__dataclass_fields__), strict=True)
        by_report = itertools.groupby(rows, key=lambda row: (row[1], row[2]))
        for (dsp, territory), of_report in by_report:
            if territory < _TERRITORIES:
                assets = self._tallies(of_report)
                self._reports.send(
                    Report(DSPS[dsp], TERRITORIES[territory], day, 1), assets.items(), len(assets), "simulated"
                )

    def _tallies(self, rows: Iterator[tuple[int, ...]]) -> dict[str, dict[Group, Tally]]:
        """Rows of one report by asset; their columns are the fields of Cells."""
        found: dict[str, dict[Group, Tally]] = {}
        for asset, _, _, context, container, device, _, count, consumers, completed, played_seconds in rows:
            tally = Tally(count, played_seconds, completed, None, consumers)
            found.setdefault(asset_name(asset), {})[self._group(context, container, device)] = tally
        return found

    def _group(self, context: int, container: int, device: int) -> Group:
        if context < 0:
            return Group()
        containers = self._catalogue.containers
        return Group(
            device=cast(Any, DEVICES[device]),
            container="" if container < 0 else containers.identifier(container),
            container_name="" if container < 0 else containers.title(container),
            context=cast(Any, CONTEXTS[context]),
            activity="active" if context < ACTIVE_CONTEXTS else "passive",
        )
