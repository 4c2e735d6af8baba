"""Writing the consumption store: first the files, then, in one transaction, that they count and how far the log is in.

A crash in between leaves a file that no catalogue knows: nobody reads it, and the upkeep removes it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from cuepoint.models.consumption_ledger import Mark, ReportKey
from cuepoint.streams import metrics
from cuepoint.streams.consumption_catalogue import ConsumptionCatalogue
from cuepoint.streams.consumption_files import ParquetFiles, Row


class ConsumptionWriter:
    """One thread at a time. All raise Unavailable."""

    def __init__(self, catalogue: ConsumptionCatalogue, files: ParquetFiles) -> None:
        self._catalogue, self._files = catalogue, files

    def position(self, partition: int) -> int | None:
        return self._catalogue.position(partition)

    def settled(self, partition: int, key: ReportKey) -> int:
        return self._catalogue.settled(partition, key)

    def begun(self, partition: int) -> list[Mark]:
        return self._catalogue.begun(partition)

    def write(self, partition: int, known: int | None, last: int, rows: Sequence[Row], marks: Sequence[Mark]) -> None:
        """Store what the log says behind ``known`` and up to ``last``. Raises StateLost where another worker did."""
        started = time.monotonic()
        name = f"p{partition:04d}-{(known if known is not None else -1) + 1}-{last}-{secrets.token_hex(4)}"
        written = self._files.write(rows, name) if rows else []
        try:
            self._catalogue.add(partition, known, last, written, marks)
        except Exception:
            for file in written:
                self._files.delete(file.path)
            raise
        metrics.CONSUMPTION_ROWS.inc(len(rows))
        metrics.CONSUMPTION_SECONDS.observe(time.monotonic() - started)
