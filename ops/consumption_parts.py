"""The consumption store's parts as the settings have them. DuckDB is loaded only where it is used."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from cuepoint.streams.consumption_files import ParquetFiles
    from cuepoint.streams.consumption_store import ConsumptionStore
    from cuepoint.streams.consumption_upkeep import Upkeep
    from cuepoint.streams.consumption_writer import ConsumptionWriter


def consumption_store(settings: Settings, engine: Engine) -> ConsumptionStore:
    """The reader, over the database of history."""
    from cuepoint.streams.consumption_store import ConsumptionStore

    return ConsumptionStore(
        settings.consumption_root(),
        engine,
        partitions=settings.partitions,
        threads=settings.consumption_threads,
        memory_bytes=settings.consumption_memory_bytes,
        timeout_s=settings.query_timeout_s,
    )


class StoredConsumption:
    """explain_changes.Consumption over the store."""

    def __init__(self, store: ConsumptionStore) -> None:
        self._store = store

    def cells(self, asset_id: str, first_day: dt.date, last_day: dt.date) -> Mapping[str, NDArray[Any]]:
        return self._store.cells(asset_id, first_day, last_day)

    def totals(self, first_day: dt.date, last_day: dt.date) -> Mapping[str, NDArray[Any]]:
        from cuepoint.streams.consumption_store import Where

        return self._store.totals(("day", "dsp", "territory"), Where(first_day=first_day, last_day=last_day))

    def reports(self, first_day: dt.date, last_day: dt.date) -> frozenset[tuple[str, str, int]]:
        marks = self._store.watermarks(first_day, last_day)
        return frozenset((m.dsp, m.territory, m.day.toordinal()) for m in marks if m.complete and not m.withdrawn)

    def settled_day(self) -> dt.date | None:
        """The last day of which all who reported within a week of the newest report have reported."""
        newest: dict[tuple[str, str], dt.date] = {}
        for mark in self._store.watermarks():
            if mark.complete and not mark.withdrawn:
                source = mark.dsp, mark.territory
                newest[source] = max(mark.day, newest.get(source, mark.day))
        active_from = max(newest.values(), default=dt.date.max) - dt.timedelta(days=7)
        return min((day for day in newest.values() if day >= active_from), default=None)


def consumption_writer(settings: Settings, engine: Engine) -> ConsumptionWriter:
    """Raises ConfigurationError where the folder cannot be made."""
    from cuepoint.streams.consumption_catalogue import ConsumptionCatalogue
    from cuepoint.streams.consumption_writer import ConsumptionWriter

    return ConsumptionWriter(ConsumptionCatalogue(engine, settings.log_id), _files(settings))


def consumption_upkeep(settings: Settings, engine: Engine) -> Upkeep:
    """Has a DuckDB of its own: it works while the writer does."""
    from cuepoint.streams.consumption_catalogue import ConsumptionCatalogue
    from cuepoint.streams.consumption_upkeep import Upkeep, UpkeepOptions

    options = UpkeepOptions(
        retention_days=settings.consumption_retention_days,
        most_bytes=settings.consumption_most_bytes,
        merge_files=settings.consumption_merge_files,
        grace_s=settings.consumption_grace_s,
    )
    catalogue = ConsumptionCatalogue(engine, settings.log_id)
    return Upkeep(catalogue, _files(settings), settings.consumption_root(), options)


def _files(settings: Settings) -> ParquetFiles:
    from cuepoint.streams.consumption_files import ParquetFiles

    root = settings.consumption_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make {root} ({error.strerror}): set CUEPOINT_CONSUMPTION_DIR to a folder that can be written"
        ) from None
    return ParquetFiles(root, threads=settings.consumption_threads, memory_bytes=settings.consumption_memory_bytes)
