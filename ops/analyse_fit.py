"""Hyperparameters in a file: what ``cuepoint fit`` writes, and analyse and the workers read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from cuepoint.models.trend_params import TrendParams, params_of
from cuepoint.schemas.codec import explain
from cuepoint.schemas.errors import ConfigurationError, ContractError

VERSION = 1


class FittedParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``params`` as name -> value; those not named keep their defaults."""

    version: int = VERSION
    params: dict[str, Any]  # a number, or a list of them
    assets: int = 0  # of the sample they were fitted on
    held_out: float = 0.0  # log likelihood a day on held-out assets ...
    replaced: float = 0.0  # ... and that of what they replace


def read_params(path: Path) -> TrendParams:
    """The hyperparameters of a file. Raises ConfigurationError naming what is wrong."""
    try:
        fitted = msgspec.json.decode(path.read_bytes(), type=FittedParams)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        fault = explain(error)
        raise ConfigurationError(f"{path}: {fault.field} {fault.reason}") from error
    if fitted.version != VERSION:
        raise ConfigurationError(f"{path}: version {fitted.version}, this program reads {VERSION}")
    try:
        return params_of(fitted.params)
    except ContractError as error:
        raise ConfigurationError(f"{path}: {error}") from error
