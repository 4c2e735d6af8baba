"""What ``cuepoint analyse`` writes: tables as Parquet or CSV, a day or a block at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from cuepoint.schemas.errors import ConfigurationError

BUFFERED_ROWS = 200_000


class TableWriter:
    """Columns of equal length, gathered into row groups. Raises ConfigurationError where the file cannot be written."""

    def __init__(self, folder: Path, name: str, form: str, schema: pa.Schema) -> None:
        if form not in {"parquet", "csv"}:
            raise ConfigurationError(f"--format takes parquet or csv; not {form}")
        self.path, self.rows, self._schema = folder / f"{name}.{form}", 0, schema
        self._held: list[pa.RecordBatch] = []
        self._waiting = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            writer = pa.parquet.ParquetWriter if form == "parquet" else pa.csv.CSVWriter
            self._writer = writer(str(self.path), schema)
        except OSError as error:
            raise ConfigurationError(f"{self.path}: {error}") from error

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._flush()
        self._writer.close()

    def add(self, columns: Mapping[str, Any]) -> None:
        """Rows, by column name; arrays, or a single value for all of them."""
        length = max(len(v) for v in columns.values() if isinstance(v, np.ndarray | list | pa.Array))
        arrays = []
        for field in self._schema:
            value = columns[field.name]
            alone = not isinstance(value, np.ndarray | list | pa.Array)
            arrays.append(pa.repeat(pa.scalar(value, field.type), length) if alone else _array(value, field.type))
        self._held.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._waiting += length
        self.rows += length
        if self._waiting >= BUFFERED_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_batches(self._held).combine_chunks())
            self._held, self._waiting = [], 0


def _array(value: Any, kind: pa.DataType) -> pa.Array:
    return value if isinstance(value, pa.Array) else pa.array(value, type=kind)
