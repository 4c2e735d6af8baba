"""Which column of a file is what: declarative mappings (YAML)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import msgspec
import yaml

from cuepoint.schemas.codec import explain
from cuepoint.schemas.errors import ConfigurationError

Target = Literal[
    "asset_id",
    "dsp_asset_id",
    "isrc",
    "upc",
    "day",
    "count",
    "dsp",
    "territory",
    "report_version",
    "region",
    "gender",
    "birth_year",
    "age_band",
    "subscription",
    "context",
    "activity",
    "container",
    "container_name",
    "device",
    "user_id",
    "consumers",
    "played_seconds",
    "completed",
    "title",
    "artist",
    "released",
    "owner",
]
IDENTIFIERS = ("isrc", "dsp_asset_id", "upc")  # which of them decides, where they name different assets
REPORT_FIELDS = ("dsp", "territory", "report_version", "day")
GROUP_FIELDS = (
    *("region", "gender", "birth_year", "age_band", "subscription"),
    *("context", "activity", "container", "container_name", "device"),
)
ASSET_FIELDS = ("title", "artist", "isrc", "upc", "released", "owner")
PERSONAL_FIELDS = ("user_id", "birth_year")


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How rows become reports. docs/reports.md says of every field what may stand in it.

    ``columns``: field -> column name (where empty, every field is looked for under its own name);
    ``constants``: field -> value, where the file has no such column;
    ``values``: field -> {what stands in the file: what is meant};
    ``day_format``: strptime, ISO 8601 where empty; ``thousands``: a sign to be removed from counts;
    ``format``: ddex-dsr, or what a file is whose name does not tell.
    """

    columns: dict[Target, str] = {}
    constants: dict[Target, str | int] = {}
    values: dict[Target, dict[str, str]] = {}
    day_format: str = ""
    thousands: str = ""
    delimiter: str = ""
    format: Literal["", "csv", "tsv", "jsonl", "parquet", "ddex-dsr"] = ""

    def column_of(self, target: Target) -> str | None:
        """The column a field is read from, or None where it has none."""
        return self.columns.get(target) if self.columns else target

    @property
    def personal(self) -> bool:
        """Whether rows are of persons: then nothing of a broken row is told that might be a person's."""
        return bool(self.columns.get("user_id") or self.columns.get("birth_year"))

    @property
    def own_ids(self) -> bool:
        """Whether rows name assets by the catalogue's own ids, so that nothing is looked up."""
        return "asset_id" in self.constants or self.column_of("asset_id") is not None


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

    Raises ConfigurationError with the columns there are (how many, where the first row might be a person's).
    """
    ids: tuple[Target, ...] = ("asset_id",) if mapping.own_ids else ("isrc", "dsp_asset_id", "upc")
    for targets in (ids, ("day",), ("count",), ("dsp",)):
        _require_one(mapping, targets, header, source)
    for target, column in mapping.columns.items():
        if target == "user_id" and column not in header:
            raise ConfigurationError(
                f"{source} has no column `{column}` (for `{target}`): without it persons cannot be "
                "told apart; choose another --mapping"
            )


def _require_one(mapping: Mapping, targets: tuple[Target, ...], header: list[str], source: str) -> None:
    if any(target in mapping.constants for target in targets):
        return
    columns = [column for target in targets if (column := mapping.column_of(target)) is not None]
    if not columns:
        raise ConfigurationError(f"the mapping says nothing of `{targets[0]}`: name its column, or give a constant")
    if not any(column in header for column in columns):
        names = f"{len(header)} others" if mapping.personal else ", ".join(header[:20]) or "none"
        raise ConfigurationError(
            f"{source} has no column `{columns[0]}` (for `{targets[0]}`); its columns are: {names}. "
            "Choose another --preset or --mapping"
        )
