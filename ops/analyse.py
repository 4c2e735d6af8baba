"""``cuepoint analyse``: the stream's model over a file of counts, with nothing but the past of each day."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cuepoint.models import region_kernel, trend_kernel
from cuepoint.models.false_discoveries import DailyDiscoveries
from cuepoint.models.forecast_catalogue import QUANTILES, Catalogue
from cuepoint.models.region_log import changes_of
from cuepoint.models.region_params import RegionParams
from cuepoint.models.trend_params import TrendParams
from cuepoint.models.trend_state import ScoredDay
from cuepoint.models.trend_walk import TrendWalk
from cuepoint.ops.analyse_read import CountTable, load_columns
from cuepoint.ops.analyse_write import TableWriter
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.trends import Change

Floats = NDArray[np.float64]
EPOCH = dt.date(1970, 1, 1).toordinal()
BOUNDS = ("mean", "lower_80", "upper_80", "lower_95", "upper_95")
DAYS = pa.schema(
    [
        ("asset", pa.string()),
        ("market", pa.string()),
        ("date", pa.date32()),
        ("count", pa.float64()),
        *((name, pa.float64()) for name in (*BOUNDS, "level", "rapid_score", "gradual_score")),
        *((name, pa.int8()) for name in ("rapid", "gradual", "region")),
        ("discovery", pa.bool_()),
        ("market_shift", pa.float64()),
        ("market_dispersion", pa.float64()),
    ]
)
_REGION_FIELDS = {"kind": pa.string(), "direction": pa.string(), "status": pa.string(), "start": pa.date32()}
_REGION_FIELDS |= {"day": pa.date32(), "end": pa.date32()}
_REGION_FIELDS |= dict.fromkeys(("probability", "size_per_day", "size_percent", "expected"), pa.float64())
_REGION_FIELDS |= dict.fromkeys(("effect", "effect_lower_95", "effect_upper_95"), pa.float64())
REGIONS = pa.schema(
    [("change_id", pa.string()), ("asset", pa.string()), ("market", pa.string()), *_REGION_FIELDS.items()]
)


@dataclass(frozen=True, kw_only=True)
class AnalyseOptions:
    """What the command line says."""

    mapping: Path | None = None
    form: str = "parquet"
    missing: str = "unknown"
    split: Sequence[str] = ()
    with_market: bool = True
    params: TrendParams | None = None
    regions: RegionParams | None = None
    horizon: int = 0
    origins: Sequence[dt.date] = ()
    memory_mb: int = 512
    false_discoveries: float = 0.1


@dataclass(frozen=True)
class Analysed:
    """How much was analysed, and the files written."""

    series: int
    days: int
    rows: int
    regions: int
    paths: list[Path]


class _Rows:
    """Everything that is the same every day of the series: names and markets as columns to pick from."""

    def __init__(self, table: CountTable) -> None:
        self.names, self.markets = pa.array(table.names), pa.array(table.markets)
        known = sorted(set(table.markets))
        number = {name: i for i, name in enumerate(known)}
        several = [number[name] for name in table.markets] if len(known) > 1 else []
        self.in_market = np.array(several, dtype=np.int64)


def analyse(path: Path, out: Path, options: AnalyseOptions) -> Analysed:
    """Read ``path``, write its scored days, regions and forecasts into the folder ``out``. Raises
    ConfigurationError."""
    if options.missing not in {"unknown", "zero", "absent"}:
        raise ConfigurationError(f"--missing takes unknown, zero or absent; not {options.missing}")
    if bool(options.horizon) != bool(options.origins):
        raise ConfigurationError("--horizon and --origin belong together")
    with tempfile.TemporaryDirectory(prefix="cuepoint-analyse-") as folder, ExitStack() as files:
        table = CountTable(
            path,
            load_columns(options.mapping),
            split=options.split,
            memory_mb=options.memory_mb,
            folder=Path(folder),
        )
        days = files.enter_context(TableWriter(out, "days", options.form, DAYS))
        regions = files.enter_context(TableWriter(out, "regions", options.form, REGIONS))
        history = _walk(table, days, regions, options)
        written = [days.path, regions.path]
        if options.origins:
            written.append(_forecast(table, history, out, options))
    return Analysed(len(table.names), table.last_day - table.first_day + 1, days.rows, regions.rows, written)


def _walk(table: CountTable, days: TableWriter, regions: TableWriter, options: AnalyseOptions) -> list[Floats]:
    """Score day after day; the counts are kept only where forecasts are asked for."""
    rows = _Rows(table)
    walk = TrendWalk(len(table.names), rows.in_market, options.params, options.regions, with_market=options.with_market)
    discoveries = DailyDiscoveries(options.false_discoveries)
    begun = np.zeros(len(table.names), dtype=bool)
    history: list[Floats] = []
    for day, given in table.days():
        if options.horizon:
            history.append(given)
        counts = given
        if options.missing != "unknown":
            empty = np.isnan(given) & begun
            counts = np.where(empty, 0.0 if options.missing == "zero" else -1.0, given)
        begun |= counts >= 0
        scored = walk.day(day, counts)
        _write_day(scored, walk, rows, discoveries, days)
        _write_regions(scored, table, regions, last=day == table.last_day)
    return history


def _write_day(
    scored: ScoredDay, walk: TrendWalk, rows: _Rows, discoveries: DailyDiscoveries, writer: TableWriter
) -> None:
    which = np.flatnonzero(scored.counts >= 0)
    if not len(which):
        return
    f, region = scored.filtered[which], scored.regions[which, 1]
    effects = (
        walk.effects[rows.in_market[which]] if len(rows.in_market) else walk.effects[:1].repeat(len(which), axis=0)
    )
    rapid = (f[:, trend_kernel.P_SAME] < walk.regions.p_rapid) * np.sign(f[:, trend_kernel.RUN])
    gradual = (f[:, trend_kernel.P_STILL] < walk.regions.p_gradual) * np.sign(f[:, trend_kernel.RISE])
    opened = np.where(region[:, region_kernel.STATUS] > 0, np.sign(region[:, region_kernel.OUT_CODE]), 0)
    columns = {
        "asset": rows.names.take(pa.array(which)),
        "market": rows.markets.take(pa.array(which)),
        "date": dt.date.fromordinal(scored.day),
        "count": scored.counts[which],
        **{name: f[:, i] for i, name in enumerate(BOUNDS)},
        "level": f[:, trend_kernel.OUT_LEVEL],
        "rapid_score": -np.log10(f[:, trend_kernel.P_SAME]),
        "gradual_score": -np.log10(f[:, trend_kernel.P_STILL]),
        "rapid": rapid.astype(np.int8),
        "gradual": gradual.astype(np.int8),
        "region": opened.astype(np.int8),
        "discovery": discoveries.day(f[:, trend_kernel.P_SAME], f[:, trend_kernel.SCORE]),
        "market_shift": effects[:, 0],
        "market_dispersion": effects[:, 1],
    }
    writer.add(columns)


def _write_regions(scored: ScoredDay, table: CountTable, writer: TableWriter, *, last: bool) -> None:
    """Regions that closed on the day; on the last day those still open as well."""
    status = scored.regions[:, :, region_kernel.STATUS]
    wanted = np.flatnonzero((status[:, 0] == region_kernel.CLOSED) | (last & (status[:, 1] > 0)))
    picked = ScoredDay(scored.day, wanted, *(part[wanted] for part in scored[2:]))
    said = [(row, change) for row, change in changes_of(picked, table.names) if last or change.status == "closed"]
    if said:
        writer.add({"market": [table.markets[row] for row, _ in said]} | _columns([change for _, change in said]))


def _columns(changes: list[Change]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {name: [getattr(c, name) for c in changes] for name in _REGION_FIELDS}
    return columns | {"change_id": [c.change_id for c in changes], "asset": [c.asset_id for c in changes]}


def _forecast(table: CountTable, history: list[Floats], out: Path, options: AnalyseOptions) -> Path:
    """Quantiles of the ``horizon`` days after each origin."""
    catalogue = Catalogue(np.column_stack(history), table.first_day, options.params)
    rows, names = _Rows(table), [f"q{100 * q:g}" for q in QUANTILES]
    keys = [("asset", pa.string()), ("market", pa.string()), ("origin", pa.date32()), ("date", pa.date32())]
    schema = pa.schema([*keys, ("horizon", pa.int32()), *((name, pa.float64()) for name in names)])
    with TableWriter(out, "forecasts", options.form, schema) as writer:
        for origin in sorted(options.origins):
            if not table.first_day <= origin.toordinal() <= table.last_day:
                raise ConfigurationError(f"--origin {origin} lies outside the file's days")
            quantiles = catalogue.forecast(origin.toordinal(), options.horizon)
            known = np.flatnonzero(~np.isnan(quantiles[:, 0, 0]))
            for h in range(options.horizon):
                row = {
                    "asset": rows.names.take(pa.array(known)),
                    "market": rows.markets.take(pa.array(known)),
                }
                days = {"origin": origin, "date": origin + dt.timedelta(days=h + 1), "horizon": h + 1}
                writer.add(row | days | {name: quantiles[known, h, i] for i, name in enumerate(names)})
    return writer.path
