"""``cuepoint fit``: hyperparameters learnt from a file of counts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from cuepoint.models.fit_params import fit
from cuepoint.models.trend_params import TrendParams
from cuepoint.ops.analyse_fit import FittedParams
from cuepoint.ops.analyse_read import CountTable, load_columns
from cuepoint.schemas.errors import ConfigurationError


def fit_file(
    path: Path, out: Path, *, mapping: Path | None = None, assets: int = 2_000, start: TrendParams | None = None
) -> FittedParams:
    """Fit on an even sample of a file's series and write ``out``. Raises ConfigurationError."""
    if assets < 2:
        raise ConfigurationError("--assets: at least two assets, one to learn from and one to be held out")
    table = CountTable(path, load_columns(mapping))
    sample = np.unique(np.linspace(0, len(table.names) - 1, min(assets, len(table.names))).astype(np.int64))
    counts = np.array([day.counts[sample] for day in table.days()])
    found = fit(counts, table.first_day, start)
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in found.params._asdict().items()}
    fitted = FittedParams(params=values, assets=len(sample), held_out=found.held_out, replaced=found.replaced)
    try:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(fitted)) + b"\n")
    except OSError as error:
        raise ConfigurationError(f"{out}: {error.strerror}") from error
    return fitted
