"""The group a row is of: its words in ours, each worked out once and remembered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from cuepoint.models.ingest_privacy import NOBODY, Group, age_band
from cuepoint.ops import ingest_vocabulary as vocabulary
from cuepoint.ops.ingest_mapping import GROUP_FIELDS, Mapping
from cuepoint.schemas.errors import ContractError

_WORDS = ("gender", "age_band", "subscription", "context", "activity", "device")
_TEXTS = ("container", "container_name")
_MOST_TEXT = 512
_REMEMBERED = 1 << 17
_CONTEXT, _ACTIVITY = Group._fields.index("context"), Group._fields.index("activity")
_AGE, _REGION = Group._fields.index("age_band"), Group._fields.index("region")


class GroupReader:
    """Reads the group of a row through its ``get``."""

    def __init__(self, mapping: Mapping) -> None:
        self._values: dict[Any, dict[str, str]] = {**mapping.values}
        self._constants: list[Any] = list(NOBODY)
        self._plan: list[tuple[int, str, str, dict[Any, str]]] = []  # place in a group, field, column, remembered
        self._columns: dict[str, str] = {}
        constants: dict[Any, Any] = {**mapping.constants}
        columns: dict[Any, str] = {**mapping.columns}
        for field in GROUP_FIELDS:
            constant, column = constants.get(field), columns.get(field) if columns else field
            place = Group._fields.index(field) if field in Group._fields else -1
            if constant is not None and place >= 0:
                self._constants[place] = str(constant) if field == "region" else self._meant(field, constant)
            elif column is not None and field in (*_WORDS, *_TEXTS):
                self._plan.append((place, field, column, {}))
            elif column is not None:
                self._columns[field] = column
        self._ages: dict[Any, str] = {}
        self._regions: dict[Any, str] = {}

    def read(self, get: Callable[[str], Any], day: dt.date, territory: str) -> Group:
        """Raises ContractError naming the field, TypeError for a list or an object."""
        found = self._constants.copy()
        for place, field, column, known in self._plan:
            value = get(column)
            if value is not None and value != "":
                word = known.get(value)
                if word is None:
                    if len(known) >= _REMEMBERED:
                        known.clear()
                    word = known[value] = self._meant(field, value)
                found[place] = word
        if self._columns:
            self._read_place_and_age(found, get, day, territory)
        if found[_ACTIVITY] == "unknown":
            found[_ACTIVITY] = vocabulary.activity_of(found[_CONTEXT])
        return Group(*found)

    def _read_place_and_age(self, found: list[Any], get: Callable[[str], Any], day: dt.date, territory: str) -> None:
        born = get(self._columns["birth_year"]) if "birth_year" in self._columns else None
        if born is not None and born != "":
            key = (born, day.year)
            if key not in self._ages:
                self._ages[key] = age_band(_year(born), day)
            found[_AGE] = self._ages[key]
        where = get(self._columns["region"]) if "region" in self._columns else None
        if where is not None and where != "":
            place = (where, territory)
            if place not in self._regions:
                self._regions[place] = vocabulary.region(self._translated("region", where), territory)
            found[_REGION] = self._regions[place]

    def _translated(self, field: str, value: Any) -> Any:
        text = value.strip() if isinstance(value, str) else value
        return self._values.get(field, {}).get(str(text), text)

    def _meant(self, field: str, value: Any) -> str:
        text = str(self._translated(field, value))
        if field in _WORDS:
            return vocabulary.word(field, text)
        if len(text) > _MOST_TEXT:
            raise ContractError("invalid", f"$.{field}", f"Expected `str` of length <= {_MOST_TEXT}")
        return text


def _year(value: Any) -> int:
    text = str(value).strip().removesuffix(".0")
    return int(text) if text.isdecimal() and len(text) == 4 else -1  # no age: unknown
