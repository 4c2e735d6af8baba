"""``cuepoint simulate catalogue``: report files of a simulated catalogue, and the truth beside them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from cuepoint.models.catalogue_days import Cells, SimulatedCatalogue
from cuepoint.models.catalogue_truth import artist_of, asset_name, title_of, truth_lines
from cuepoint.models.catalogue_world import (
    ACTIVE_CONTEXTS,
    AGE_BANDS,
    CONTEXTS,
    DEVICES,
    DSPS,
    GENDERS,
    SUBSCRIPTIONS,
    TERRITORIES,
    CatalogueParams,
)
from cuepoint.ops.ingest_progress import IngestProgress
from cuepoint.schemas.errors import ConfigurationError

README = """SIMULATED. Nothing in this folder was measured: `cuepoint simulate catalogue` made it (seed {seed}).

A file a day: one row a cell of consumption, its columns named like the fields of the contract consumption.v1. Files
whose name holds `-late-` are reports that came on the day the name begins with. truth.jsonl says what happened: the
events, their causes and effects, moves of the market, reports that never came.

Read it in the order of the names: cuepoint ingest {folder}/*.{suffix}
"""
_GROUPS = [(g, a, s) for g in GENDERS for a in AGE_BANDS for s in SUBSCRIPTIONS]


def simulate_files(folder: Path, kind: str, seed: int, *, first_day: str, **params: Any) -> None:
    """What the command does. Raises ConfigurationError for a day that is none, or what write_catalogue raises."""
    try:
        wanted = CatalogueParams(first_day=dt.date.fromisoformat(first_day), **params)
    except ValueError as error:
        raise ConfigurationError(f"--first-day: {error}") from None
    with IngestProgress() as progress:
        progress.begin("simulating", wanted.days)
        rows = write_catalogue(wanted, seed, folder, kind, progress.at)
        progress.say(f"{rows} rows of {wanted.days} simulated days of {wanted.assets} assets are in {folder}")


def write_catalogue(
    params: CatalogueParams, seed: int, folder: Path, kind: str, tell: Callable[[int, str], None] = lambda *_: None
) -> int:
    """Write the files of a catalogue into an empty or new folder; ``kind``: parquet or csv. Returns the rows written.

    Raises ConfigurationError for a folder that has other files or cannot be written.
    """
    suffix = {"parquet": "parquet", "csv": "csv.gz"}.get(kind)
    if suffix is None:
        raise ConfigurationError(f"--format: `{kind}` is not known; there are parquet and csv")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigurationError(f"{folder} is not empty: name a new folder")
        catalogue = SimulatedCatalogue(params, seed)
        (folder / "README.txt").write_text(
            README.format(seed=seed, folder=folder.name, suffix=suffix), encoding="utf-8"
        )
        with (folder / "truth.jsonl").open("wb") as truth:
            truth.writelines(msgspec.json.encode(line) + b"\n" for line in truth_lines(catalogue))
        rows = 0
        for day, (date, blocks) in enumerate(catalogue.days()):
            rows += _write_day(catalogue, day, blocks, folder, suffix)
            tell(day + 1, date.isoformat())
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror or error}") from None
    return rows


def _write_day(catalogue: SimulatedCatalogue, day: int, blocks: Iterator[Cells], folder: Path, suffix: str) -> int:
    """The reports of a day that come in time into one file, each late one into its own; those in no file never come."""
    date, writers, rows = catalogue.date(day), {}, 0
    gaps = [catalogue.withheld(dsp, day) for dsp in range(len(DSPS))]
    try:
        for cells in blocks:
            for dsps, name in _files(catalogue, day, gaps):
                chosen = np.isin(cells.dsp, dsps)
                table = cells_table(catalogue, cells, date, chosen)
                if name not in writers:
                    writers[name] = _writer(folder / f"{name}.{suffix}.partial", suffix, table.schema)
                writers[name].write_table(table)
                rows += table.num_rows
    finally:
        for writer in writers.values():
            writer.close()
    for name in writers:
        (folder / f"{name}.{suffix}.partial").rename(folder / f"{name}.{suffix}")
    return rows


def _files(catalogue: SimulatedCatalogue, day: int, gaps: list[Any]) -> Iterator[tuple[list[int], str]]:
    date = catalogue.date(day)
    yield [dsp for dsp, gap in enumerate(gaps) if gap is None], date.isoformat()
    for dsp, gap in enumerate(gaps):
        if gap is not None and gap.late_days:
            comes = catalogue.date(gap.end - 1 + gap.late_days)
            yield [dsp], f"{comes.isoformat()}-late-{DSPS[dsp]}-{date.isoformat()}"


def cells_table(catalogue: SimulatedCatalogue, cells: Cells, date: Any, chosen: Any = slice(None)) -> pa.Table:
    """Cells as a table whose columns are named like the fields of consumption.v1, with title and artist beside."""
    n = len(cells.count[chosen])
    first = int(cells.asset.min()) if len(cells.asset) else 0
    names = range(first, int(cells.asset.max()) + 1 if len(cells.asset) else first)
    asset = cells.asset[chosen] - first
    containers, where = np.unique(cells.container[chosen], return_inverse=True)
    context, group = cells.context[chosen], cells.group[chosen]
    activity = np.where(context < 0, 2, (context >= ACTIVE_CONTEXTS).astype(np.int64))
    return pa.table(
        {
            "asset_id": _coded(asset, [asset_name(number) for number in names]),
            "title": _coded(asset, [title_of(number) for number in names]),
            "artist": _coded(asset, [artist_of(number) for number in names]),
            "day": pa.array(np.full(n, np.datetime64(date, "D"))),
            "dsp": _coded(cells.dsp[chosen], DSPS),
            "territory": _coded(cells.territory[chosen], TERRITORIES),
            "context": _coded(context, (*CONTEXTS, "unknown")),
            "activity": _coded(activity, ("active", "passive", "unknown")),
            "container": _coded(where, ["" if k < 0 else catalogue.containers.identifier(k) for k in containers]),
            "container_name": _coded(where, ["" if k < 0 else catalogue.containers.title(k) for k in containers]),
            "device": _coded(cells.device[chosen], (*DEVICES, "unknown")),
            "gender": _coded(group, [*(g for g, _, _ in _GROUPS), "unknown"]),
            "age_band": _coded(group, [*(a for _, a, _ in _GROUPS), "unknown"]),
            "subscription": _coded(group, [*(s for _, _, s in _GROUPS), "unknown"]),
            "count": cells.count[chosen],
            "consumers": cells.consumers[chosen],
            "completed": cells.completed[chosen],
            "played_seconds": cells.played_seconds[chosen],
        }
    )


def _coded(codes: Any, names: Any) -> pa.DictionaryArray:
    """-1 is the last name."""
    indices = pa.array(np.where(codes < 0, len(names) - 1, codes).astype(np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(names), pa.string()))


class _CsvFile:
    """A gzipped CSV, table by table."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        flat = [pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in schema]
        self._schema = pa.schema(flat)
        self._stream = pa.CompressedOutputStream(str(path), "gzip")
        self._writer = pyarrow.csv.CSVWriter(self._stream, self._schema)

    def write_table(self, table: pa.Table) -> None:
        self._writer.write_table(table.cast(self._schema))

    def close(self) -> None:
        self._writer.close()
        self._stream.close()


def _writer(path: Path, suffix: str, schema: pa.Schema) -> Any:
    return _CsvFile(path, schema) if suffix == "csv.gz" else pyarrow.parquet.ParquetWriter(path, schema)
