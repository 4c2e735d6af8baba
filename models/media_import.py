"""Rows of a bulk import as plain values of a contract: JSON lines, and CSV with a heading."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from cuepoint.models.cue_log import seconds_of
from cuepoint.schemas.errors import ContractError

_LISTS = frozenset(("categories", "videos"))
_NUMBERS = frozenset(("duration_s", "width", "height"))


class ImportRow(NamedTuple):
    """A row by its line; ``value`` None: it cannot be read, for ``error``."""

    line: int
    value: dict[str, Any] | None
    error: ContractError | None = None


def json_rows(text: str) -> Iterator[ImportRow]:
    """One object a line; empty lines are passed over.

    >>> [row.value for row in json_rows('{"video_id": "v1"}')]
    [{'video_id': 'v1'}]
    """
    for line, row in enumerate(text.split("\n"), 1):
        if row.strip():
            try:
                yield ImportRow(line, msgspec.json.decode(row, type=dict[str, Any]))
            except (msgspec.DecodeError, RecursionError):
                yield ImportRow(line, None, ContractError("malformed", "$", "not a JSON object"))


def csv_rows(text: str) -> Iterator[ImportRow]:
    """The heading names fields; an empty cell is a field not given.

    Lists are separated by semicolons; ``cue_points`` are times, each with ``+seconds`` of its break where known;
    ``ratings`` are ``name=value`` or ``name=value/votes``. Raises ContractError for a heading that cannot be used.

    >>> row = next(csv_rows("video_id,duration_s,cue_points,ratings\\nv1,4:00,60;2:00+30,viewers=4.5/12\\n"))
    >>> row.value["cue_points"], row.value["ratings"]
    ([{'at_s': 60.0}, {'at_s': 120.0, 'duration_s': 30.0}], {'viewers': {'value': 4.5, 'votes': 12}})
    """
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        heading = [name.strip() for name in next(reader, [])]
        if not heading or "" in heading or len(set(heading)) < len(heading):
            raise ContractError("malformed", "line 1", "the heading must name each field once")
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _csv_row(reader.line_num, heading, cells)
    except csv.Error as error:
        raise ContractError("malformed", f"line {reader.line_num}", str(error)) from None


def _csv_row(line: int, heading: list[str], cells: list[str]) -> ImportRow:
    if len(cells) > len(heading):
        return ImportRow(line, None, ContractError("malformed", "$", "more cells than the heading names"))
    value: dict[str, Any] = {}
    for name, cell in zip(heading, (cell.strip() for cell in cells), strict=False):
        if cell:
            try:
                value[name] = _cell(name, cell)
            except ValueError as error:
                return ImportRow(line, None, ContractError("invalid", f"$.{name}", str(error)))
    return ImportRow(line, value)


def _cell(name: str, cell: str) -> Any:
    parts = [part.strip() for part in cell.split(";") if part.strip()]
    if name in _LISTS:
        return parts
    if name == "duration_s":
        return seconds_of(cell)
    if name in _NUMBERS:
        return int(cell)
    if name == "cue_points":
        return [_cue(part) for part in parts]
    if name == "ratings":
        return dict(_rating(part) for part in parts)
    return cell


def _cue(part: str) -> dict[str, float]:
    at, plus, length = part.partition("+")
    return {"at_s": seconds_of(at)} | ({"duration_s": float(length)} if plus else {})


def _rating(part: str) -> tuple[str, dict[str, float]]:
    name, equals, given = part.partition("=")
    value, slash, votes = given.partition("/")
    if not equals:
        raise ValueError(f"{part}: expected name=value")
    return name, {"value": float(value)} | ({"votes": int(votes)} if slash else {})
