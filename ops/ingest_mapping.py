"""Which column of a file is what: declarative mappings (YAML) and the presets."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping as MappingType
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import msgspec
import yaml

from cuepoint.schemas.codec import explain
from cuepoint.schemas.errors import ConfigurationError, ContractError
from cuepoint.schemas.trends import Asset, TrendRecord

T = TypeVar("T")
Target = Literal[
    "asset_id",
    "day",
    "count",
    "dsp",
    "territory",
    "report_version",
    "title",
    "artist",
    "isrc",
    "upc",
    "released",
    "owner",
]
RECORD_FIELDS = ("asset_id", "day", "dsp", "territory", "count", "report_version")
ASSET_FIELDS = ("title", "artist", "isrc", "upc", "released", "owner")
_TEXT_FIELDS = {"asset_id", "dsp", "territory", "title", "artist", "isrc", "upc", "owner"}


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How rows become trend records.

    ``columns``: field -> column name (where empty, every field is looked for under its own name);
    ``constants``: field -> value, where the file has no such column;
    ``values``: field -> {what stands in the file: what is meant};
    ``day_format``: strptime, ISO 8601 where empty; ``thousands``: a sign to be removed from counts.
    """

    columns: dict[Target, str] = {}
    constants: dict[Target, str | int] = {}
    values: dict[Target, dict[str, str]] = {}
    day_format: str = ""
    thousands: str = ""
    delimiter: str = ""

    def column_of(self, target: Target) -> str | None:
        """The column a field is read from, or None where it has none."""
        return self.columns.get(target) if self.columns else target


PRESETS = {
    "cuepoint": Mapping(),
    "spotify-charts": Mapping(
        columns={"asset_id": "track_id", "day": "date", "count": "streams", "title": "track", "artist": "artist"},
        constants={"dsp": "spotify", "territory": "US"},
    ),
}


class Row(msgspec.Struct, frozen=True):
    """What one row says: a record of a report and, where the file has it, the asset's metadata."""

    record: TrendRecord
    asset: Asset | None


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises ConfigurationError, which names file and field, for one that cannot be used.
    """
    try:
        mapping = msgspec.convert(yaml.safe_load(path.read_bytes()), Mapping)
    except OSError as error:
        raise ConfigurationError(f"cannot read the mapping {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except msgspec.ValidationError as error:
        fault = explain(error)
        raise ConfigurationError(f"{path}: {fault.field}: {fault.reason}") from None
    return mapping


def override(mapping: Mapping, dsp: str | None, territory: str | None, version: int | None) -> Mapping:
    """The mapping with what was given on the command line, which wins over the file's columns."""
    given: dict[Target, str | int | None] = {"dsp": dsp, "territory": territory, "report_version": version}
    fixed = {field: value for field, value in given.items() if value is not None}
    if not fixed:
        return mapping
    columns = mapping.columns or {target: str(target) for target in get_args(Target)}
    kept = {field: column for field, column in columns.items() if field not in fixed}
    return msgspec.structs.replace(mapping, columns=kept, constants={**mapping.constants, **fixed})


def require_columns(mapping: Mapping, header: list[str], source: str) -> None:
    """Refuse a file that lacks a column the mapping needs, before a row is read.

    Raises ConfigurationError with the columns there are.
    """
    for target in ("asset_id", "day", "count", "dsp"):
        if target in mapping.constants:
            continue
        column = mapping.column_of(target)
        if column is None:
            raise ConfigurationError(f"the mapping says nothing of `{target}`: name its column, or give a constant")
        if column not in header:
            names = ", ".join(header[:20]) or "none"
            raise ConfigurationError(
                f"{source} has no column `{column}` (for `{target}`); its columns are: {names}. "
                "Choose another --preset or --mapping"
            )


class RowReader:
    """Turns rows (column -> value) into records by a mapping.

    >>> reader = RowReader(PRESETS["spotify-charts"], latest=dt.date(2020, 1, 1))
    >>> row = {"date": "2019-12-01", "track_id": "t", "track": "Song", "artist": "Band", "streams": "12"}
    >>> reader.read(row).record.count
    12
    """

    def __init__(self, mapping: Mapping, latest: dt.date) -> None:
        """``latest``: a later day is refused (``future_day``)."""
        self._mapping = mapping
        self._latest = latest
        self._record = self._plan(RECORD_FIELDS)
        self._asset = self._plan(ASSET_FIELDS)
        self._record_constants: dict[str, Any] = {k: v for k, v in mapping.constants.items() if k in RECORD_FIELDS}
        self._asset_constants: dict[str, Any] = {k: v for k, v in mapping.constants.items() if k in ASSET_FIELDS}
        self._day_of = functools.lru_cache(maxsize=4096)(self._parse_day)

    def _plan(self, fields: tuple[Any, ...]) -> list[tuple[Any, str, dict[str, str]]]:
        columns = ((field, self._mapping.column_of(field)) for field in fields if field not in self._mapping.constants)
        return [(field, column, self._mapping.values.get(field, {})) for field, column in columns if column is not None]

    def read(self, row: MappingType[str, Any]) -> Row:
        """Raises ContractError naming the field for a row that breaks the contract of a trend record."""
        found = self._pick(self._record, row)
        found.update(self._record_constants)
        day = found.get("day")
        if isinstance(day, str):
            found["day"] = self._day_of(day)
        elif isinstance(day, dt.datetime):
            found["day"] = day.date()
        if isinstance(found.get("count"), str) and self._mapping.thousands:
            found["count"] = found["count"].replace(self._mapping.thousands, "")
        record = _convert(found, TrendRecord)
        if record.day > self._latest:
            raise ContractError("future_day", "$.day", f"{record.day} lies in the future")
        about = self._pick(self._asset, row)
        about.update(self._asset_constants)
        asset = _convert({"asset_id": record.asset_id, **about}, Asset) if about.get("title") else None
        return Row(record, asset)

    def _pick(self, plan: list[tuple[Any, str, dict[str, str]]], row: MappingType[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field, column, meant in plan:
            value = row.get(column)
            if isinstance(value, str):
                value = value.strip()
                value = meant.get(value, value) if meant else value
            if value is None or value == "":
                continue
            found[field] = str(value) if field in _TEXT_FIELDS and isinstance(value, int) else value
        return found

    def _parse_day(self, text: str) -> dt.date:
        try:
            if self._mapping.day_format:
                return dt.datetime.strptime(text, self._mapping.day_format).date()
            return dt.datetime.fromisoformat(text).date()
        except ValueError:
            wanted = self._mapping.day_format or "YYYY-MM-DD"
            raise ContractError("invalid", "$.day", f"`{text[:40]}` is not a day of the form {wanted}") from None


def _convert(found: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise explain(error) from None
