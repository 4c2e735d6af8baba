"""DDEX Digital Sales Report flat files, Basic Audio Profile, to rows of streams.

Both variants: blocks of records (RE01, AS01/AS02, MW01 ..., SU02) and single-record blocks (SR02). Cells are as in
Part 8 of the standard (record type definitions; the schema of BasicAudioProfile 1.2); what is read of them is in
docs/reports.md. A file is whole only if its last record counts its lines, summaries and blocks as they are.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import NamedTuple

from cuepoint.schemas.errors import ConfigurationError, ContractError

Row = dict[str, str | int]
_NO_NAME = re.compile(r"[^a-z0-9]+")


class _Summary(NamedTuple):
    territory: str
    commercial_model: str
    use_type: str


class _Resource(NamedTuple):
    dsp_id: str
    isrc: str


class DdexReader:
    """Takes a file line by line."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._head: Row = {}
        self._summaries: dict[str, _Summary] = {}
        self._block, self._blocks, self._lines = "", 0, 0
        self._resources: dict[str, _Resource] = {}
        self._releases: dict[str, tuple[str, str]] = {}  # reference -> id of the service, ICPN
        self._ended = False

    def line(self, text: str, number: int) -> Row | None:
        """What the line says of streams, None where it says nothing of them.

        Raises ContractError naming the cell for a record that cannot be used, ConfigurationError for a file that is
        none of this kind, or not whole.
        """
        self._lines = number
        text = text.removeprefix("\ufeff").rstrip("\r\n")
        if not text.strip() or text.startswith("#"):
            return None
        cells = text.split("\t")
        kind = cells[0].split(".")[0]
        if not self._head:
            if kind != "HEAD":
                raise ConfigurationError(f"{self._source} is no DDEX sales report: its first record is not HEAD")
            self._head = self._read_head(cells)
            return None
        if self._ended:
            raise ConfigurationError(f"{self._source}: line {number} stands behind the last record (FOOT)")
        if kind in ("FOOT", "SRFO"):
            self._foot(cells, kind, number)
        elif kind.startswith("SY"):
            self._summaries[_cell(cells, 2, "SummaryRecordId")] = _Summary(
                _cell(cells, 7, "Territory"), _cell(cells, 5, "CommercialModel"), _optional(cells, 6)
            )
        elif kind == "SR02":
            return self._single(cells)
        else:
            return self._of_block(kind, cells)
        return None

    def end(self) -> None:
        """Raises ConfigurationError where the file broke off."""
        if not self._ended:
            raise ConfigurationError(
                f"{self._source} breaks off after line {self._lines}: the last record (FOOT) lacks"
            )

    def _read_head(self, cells: Sequence[str]) -> Row:
        try:
            first, last = _cell(cells, 9, "UsageStartDate"), _cell(cells, 10, "UsageEndDate")
            created = dt.datetime.fromisoformat(_cell(cells, 6, "MessageCreatedDateTime"))
            files = (_cell(cells, 7, "FileNumber"), _cell(cells, 8, "NumberOfFiles"))
            sender = _NO_NAME.sub("-", _cell(cells, 12, "SenderName").lower()).strip("-")
        except ContractError as error:
            raise ConfigurationError(f"{self._source}: HEAD: {error}") from None
        except ValueError:
            raise ConfigurationError(
                f"{self._source}: HEAD: MessageCreatedDateTime (cell 6) is not a date and time"
            ) from None
        if files != ("1", "1"):
            raise ConfigurationError(
                f"{self._source} is file {files[0]} of {files[1]}: join the files of a report to one first"
            )
        if len(first) < len("YYYY-MM-DD") or first != last:
            raise ConfigurationError(
                f"{self._source} reports {first} to {last} (HEAD, cells 9 and 10): Cuepoint follows days, and a longer "
                "period does not say which day a stream was of; ask the service for daily reports"
            )
        # Whoever corrects a report makes it anew: the later one replaces the earlier.
        version = max(1, int(created.replace(tzinfo=created.tzinfo or dt.UTC).timestamp()))
        return {"UsageDate": first, "MessageCreated": version, "SenderName": sender}

    def _foot(self, cells: Sequence[str], kind: str, number: int) -> None:
        counted: list[tuple[int, str, int]] = [(2, "NumberOfLinesInFile", number)]
        if kind == "FOOT":
            counted += [
                (4, "NumberOfSummaryRecords", len(self._summaries)),
                (5, "NumberOfBlocksInFile", self._blocks),
            ]
        else:
            counted += [(3, "NumberOfSummaryRecords", len(self._summaries))]
        for place, name, found in counted:
            said = _optional(cells, place)
            if said != str(found):
                raise ConfigurationError(
                    f"{self._source} is not whole: {kind} says {name} (cell {place}) {said or '-'}, it is {found}"
                )
        self._ended = True

    def _of_block(self, kind: str, cells: Sequence[str]) -> Row | None:
        block = _cell(cells, 2, "BlockId")
        if block != self._block:
            self._block, self._blocks = block, self._blocks + 1
            self._resources, self._releases = {}, {}
        if kind == "RE01":
            self._releases[_cell(cells, 3, "ReleaseReference")] = (_cell(cells, 4, "DspReleaseId"), _optional(cells, 7))
        elif kind in ("AS01", "AS02"):
            isrc = _optional(cells, 5).split("|")[0]
            self._resources[_cell(cells, 3, "ResourceReference")] = _Resource(_cell(cells, 4, "DspResourceId"), isrc)
        elif kind == "SU02":
            return self._usage(cells)
        return None  # works, sub-releases, licensor's claims, downloads: nothing of streams

    def _usage(self, cells: Sequence[str]) -> Row:
        release, resource = _optional(cells, 5), _optional(cells, 6)
        known = self._resources.get(resource)
        if known is None and not resource and release in self._releases and len(self._resources) == 1:
            known = next(iter(self._resources.values()))  # a release of one track
        streams = _cell(cells, 8, "NumberOfStreams")
        if known is not None:
            return self._row(cells, 3, streams, {"DspResourceId": known.dsp_id, "ISRC": known.isrc})
        if not resource and release in self._releases:
            dsp_id, icpn = self._releases[release]
            return self._row(cells, 3, streams, {"DspResourceId": dsp_id, "ICPN": icpn})
        where, said = (6, "TransactedResource") if resource else (5, "TransactedRelease")
        raise ContractError("invalid", f"$.{said}", f"cell {where} refers to no record of block {self._block}")

    def _single(self, cells: Sequence[str]) -> Row:
        about = {"DspResourceId": _cell(cells, 3, "DspResourceId"), "ISRC": _optional(cells, 4)}
        return self._row(cells, 2, _cell(cells, 35, "NumberOfStreams"), about)

    def _row(self, cells: Sequence[str], place: int, streams: str, about: dict[str, str]) -> Row:
        summary = self._summaries.get(_cell(cells, place, "SummaryRecordId"))
        if summary is None:
            raise ContractError("invalid", "$.SummaryRecordId", f"cell {place} refers to no summary record")
        return {
            **self._head,
            **about,
            "NumberOfStreams": streams,
            "Territory": "WW" if summary.territory == "Worldwide" else summary.territory,
            "CommercialModel": summary.commercial_model,
            "UseType": summary.use_type,
        }


def _optional(cells: Sequence[str], place: int) -> str:
    return cells[place - 1].strip() if len(cells) >= place else ""


def _cell(cells: Sequence[str], place: int, name: str) -> str:
    value = _optional(cells, place)
    if not value:
        raise ContractError("invalid", f"$.{name}", f"record {cells[0]} has nothing in cell {place} ({name})")
    return value
