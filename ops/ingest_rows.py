"""Rows (column -> value) to what they say of a report, an asset and a group, by a mapping.

What returns row after row (report, asset, group) is worked out once and remembered by its raw values.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from collections.abc import Mapping as MappingType
from typing import Any, NamedTuple, TypeVar

import msgspec

from cuepoint.models.ingest_identity import identifier
from cuepoint.models.ingest_privacy import Group
from cuepoint.ops.ingest_groups import GroupReader
from cuepoint.ops.ingest_mapping import ASSET_FIELDS, IDENTIFIERS, REPORT_FIELDS, Mapping, Target
from cuepoint.schemas.base import Count, Identifier, Territory, Version
from cuepoint.schemas.codec import explain
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.trends import Asset

T = TypeVar("T")
AssetKey = str | tuple[str, ...]  # the catalogue's own id, or what the service calls it
_MOST = 2**53
_REMEMBERED = 1 << 18
_FIELDS: dict[str, Any] = {"count": Count, "consumers": Count, "played_seconds": Count, "completed": Count}


class Report(NamedTuple):
    """What a report is known by."""

    dsp: str
    territory: str
    day: dt.date
    version: int


class _ReportFields(msgspec.Struct, frozen=True):
    dsp: Identifier
    day: dt.date
    territory: Territory = "WW"
    report_version: Version = 1


class _AssetFields(msgspec.Struct, frozen=True):
    asset_id: Identifier


class Row(NamedTuple):
    """``person`` is what the report calls a consumer: it goes no further than the spool, which makes a number of it."""

    report: Report
    asset: AssetKey
    group: Group
    person: str | None
    streams: int
    played_seconds: int
    completed: int | None
    listeners: int | None
    about: Asset | None


class RowReader:
    """Turns rows into what they say.

    >>> from cuepoint.ops.ingest_presets import PRESETS
    >>> reader = RowReader(PRESETS["spotify-charts"], latest=dt.date(2020, 1, 1))
    >>> row = {"date": "2019-12-01", "track_id": "t", "track": "Song", "artist": "Band", "streams": "12"}
    >>> reader.read(row).asset, reader.read(row).streams
    ('t', 12)
    """

    def __init__(self, mapping: Mapping, latest: dt.date) -> None:
        """``latest``: a later day is refused (``future_day``)."""
        self._mapping, self._latest = mapping, latest
        self._report_plan = self._plan(REPORT_FIELDS)
        self._asset_plan = self._plan(("asset_id",) if mapping.own_ids else IDENTIFIERS)
        self._groups = GroupReader(mapping)
        self._about_plan = self._plan(ASSET_FIELDS if mapping.own_ids else ())
        self._person = mapping.column_of("user_id")
        self._numbers = [self._plan((name,)) for name in ("count", "played_seconds", "completed", "consumers")]
        self._known: dict[Any, Any] = {}

    def _plan(self, fields: tuple[Any, ...]) -> list[tuple[Target, str]]:
        columns = ((field, self._mapping.column_of(field)) for field in fields if field not in self._mapping.constants)
        return [(field, column) for field, column in columns if column is not None]

    def read(self, row: MappingType[str, Any]) -> Row:
        """Raises ContractError naming the field for a row that breaks the contract."""
        get = row.get
        try:
            report: Report = self._remember(self._report, self._report_plan, get)
            asset: AssetKey = self._remember(self._asset, self._asset_plan, get, report.dsp)
            group = self._groups.read(get, report.day, report.territory)
            about = self._remember(self._about, self._about_plan, get, asset) if self._about_plan else None
        except TypeError:  # what is remembered must be hashable
            raise ContractError("invalid", "$", "a field holds a list or an object where a value is expected") from None
        count, seconds, completed, listeners = [self._number(plan, get) if plan else None for plan in self._numbers]
        if count is None:
            raise ContractError("invalid", "$.count", "Object missing required field `count`")
        person = get(self._person) if self._person is not None else None
        told = None if person is None or person == "" else str(person)
        return Row(report, asset, group, told, count, seconds or 0, completed, listeners, about)

    def _remember(
        self, make: Callable[..., T], plan: list[tuple[Target, str]], get: Callable[[str], Any], *more: Any
    ) -> T:
        key = (make.__name__, *more, *[get(column) for _, column in plan])
        found: T | None = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[key] = make(self._pick(plan, get), *more)
        return found

    def _pick(self, plan: list[tuple[Target, str]], get: Callable[[str], Any]) -> dict[str, Any]:
        """Field -> value of those that have one."""
        found: dict[str, Any] = {}
        for field, column in plan:
            value = get(column)
            if isinstance(value, str):
                value = value.strip()
                value = self._mapping.values.get(field, {}).get(value, value)
            if value is not None and value != "":
                found[field] = str(value) if field not in _FIELDS and isinstance(value, int) else value
        return found

    def _constants(self, fields: tuple[Any, ...]) -> dict[str, Any]:
        return {field: value for field, value in self._mapping.constants.items() if field in fields}

    # -- what is remembered

    def _report(self, found: dict[str, Any]) -> Report:
        found |= self._constants(REPORT_FIELDS)
        day = found.get("day")
        if isinstance(day, str):
            found["day"] = self._parse_day(day)
        elif isinstance(day, dt.datetime):
            found["day"] = day.date()
        fields = _convert(found, _ReportFields)
        if fields.day > self._latest:
            raise ContractError("future_day", "$.day", f"{fields.day} lies in the future")
        return Report(fields.dsp, fields.territory, fields.day, fields.report_version)

    def _parse_day(self, text: str) -> dt.date:
        try:
            if self._mapping.day_format:
                return dt.datetime.strptime(text, self._mapping.day_format).date()
            return dt.datetime.fromisoformat(text).date()
        except ValueError:
            wanted = self._mapping.day_format or "YYYY-MM-DD"
            said = "what stands there" if self._mapping.personal else f"`{text[:40]}`"
            raise ContractError("invalid", "$.day", f"{said} is not a day of the form {wanted}") from None

    def _asset(self, found: dict[str, Any], dsp: str) -> AssetKey:
        found |= self._constants(("asset_id", *IDENTIFIERS))
        if self._mapping.own_ids:
            return _convert(found, _AssetFields).asset_id
        if "isrc" in found:
            found.pop("upc", None)  # of the release: the row is of a recording
        names = tuple(identifier(field, found[field], dsp) for field in IDENTIFIERS if field in found)
        if not names:
            raise ContractError(
                "invalid", "$.isrc", "the row names no asset: neither ISRC, nor the service's id, nor UPC"
            )
        for name, field in zip(names, (field for field in IDENTIFIERS if field in found), strict=True):
            _check(name, field)
        return names

    def _about(self, found: dict[str, Any], asset: AssetKey) -> Asset | None:
        found |= self._constants(ASSET_FIELDS)
        return _convert({"asset_id": asset, **found}, Asset) if found.get("title") else None

    # -- what is not

    def _number(self, plan: list[tuple[Target, str]], get: Callable[[str], Any]) -> int | None:
        ((field, column),) = plan
        value = get(column)
        if type(value) is int and 0 <= value <= _MOST:
            return value
        if isinstance(value, str):
            value = value.strip()
            if self._mapping.thousands:
                value = value.replace(self._mapping.thousands, "")
            value = value.removesuffix(".0")
            if value.isdecimal() and value.isascii() and len(value) < 16:
                return int(value)
        if value is None or value == "":
            return None
        if field == "played_seconds" and isinstance(value, str | float):
            value = _rounded(value)
        return int(_convert({field: value}, _number_struct(field)).__getattribute__(field))


def _check(name: str, field: str) -> None:
    try:
        msgspec.convert(name, Identifier)
    except msgspec.ValidationError as error:
        raise ContractError("invalid", f"$.{field}", explain(error).reason) from None


def _rounded(value: str | float) -> Any:
    try:
        return round(float(value))
    except (ValueError, OverflowError):
        return value


@functools.cache
def _number_struct(field: str) -> Any:
    return msgspec.defstruct(f"_{field}", [(field, _FIELDS[field])])


def _convert(found: dict[str, Any], kind: Callable[..., T] | type[T]) -> T:
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise explain(error) from None
