"""Rows of a file, one at a time: CSV, TSV, JSON lines, Parquet and DDEX flat files; plain, gzipped or in Zstandard.

Memory stays bounded: a line longer than the limit is a broken row, never a reason to hold the file.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from cuepoint.ops.ingest_ddex import DdexReader
from cuepoint.ops.ingest_lines import MAX_LINE_BYTES, Lines
from cuepoint.schemas.errors import ConfigurationError, ContractError

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}


_PACKED = (".gz", ".zst")


class Read(NamedTuple):
    """``row`` column -> value, or ``fault`` saying why it is none; ``line`` of the file (a row's number in Parquet)."""

    line: int
    row: Mapping[str, Any] | None
    original: bytes
    fault: ContractError | None = None


class Source:
    """A file to be read once, front to back. ``header`` is known before the first row; empty for JSON lines.

    Raises ConfigurationError for a file that is not there, empty, or of an unknown kind.
    """

    def __init__(self, path: Path, delimiter: str = "", kind: str = "") -> None:
        """``kind``: ddex-dsr, or what the file is where its name does not tell."""
        self.path = path
        self.kind = kind if kind == "ddex-dsr" else _kind(path, kind)
        self._delimiter = delimiter or ("\t" if self.kind == "tsv" else ",")
        try:
            self.size_bytes = path.stat().st_size
            self._raw: IO[bytes] = path.open("rb")
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
        self._file = _unpacked(self._raw, path)
        self._lines = Lines(self._file, path)
        self._parquet: Any = None
        self.header = self._read_header()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    @property
    def done_bytes(self) -> int:
        """How much of the file (as it lies on disk) has been read, for a progress bar."""
        return self.size_bytes if self._raw.closed else self._raw.tell()

    def rows(self) -> Iterator[Read]:
        """The rows after the header. Raises ConfigurationError where the file breaks off (a truncated archive)."""
        if self.kind == "parquet":
            return self._parquet_rows()
        if self.kind == "ddex-dsr":
            return self._ddex_rows()
        return self._json_rows() if self.kind == "jsonl" else self._delimited_rows()

    def _read_header(self) -> list[str]:
        if self.kind == "parquet":
            return self._open_parquet()
        if self.kind in ("jsonl", "ddex-dsr"):
            return []
        first = self._lines.next_text()
        if first is None:
            raise ConfigurationError(f"{self.path} is empty")
        self._lines.taken()
        return next(csv.reader([first.removeprefix("\ufeff")], delimiter=self._delimiter), [])

    def _open_parquet(self) -> list[str]:
        import pyarrow
        import pyarrow.parquet

        try:
            self._parquet = pyarrow.parquet.ParquetFile(self._file)
        except (pyarrow.ArrowException, OSError, EOFError, zlib.error) as error:
            raise ConfigurationError(f"{self.path} is not a Parquet file: {error}") from None
        return [str(name) for name in self._parquet.schema_arrow.names]

    def _delimited_rows(self) -> Iterator[Read]:
        csv.field_size_limit(MAX_LINE_BYTES)
        rows = csv.reader(self._lines.texts(), delimiter=self._delimiter, strict=True)
        width = len(self.header)
        while True:
            line = self._lines.number + 1
            fault: ContractError | None = None
            cells: list[str] = []
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                fault = ContractError("malformed", "$", str(error))
            original = self._lines.taken()
            if not cells and fault is None:
                continue  # an empty line
            fault = fault or self._lines.fault(original)
            if fault is None and len(cells) != width:
                fault = ContractError("malformed", "$", f"{len(cells)} columns where the header has {width}")
            row = None if fault else dict(zip(self.header, cells, strict=True))
            yield Read(line, row, original, fault)

    def _json_rows(self) -> Iterator[Read]:
        decode = msgspec.json.Decoder().decode
        while self._lines.next_text() is not None:
            original = self._lines.taken()
            if not original.strip():
                continue
            fault = self._lines.fault(original)
            row: Any = None
            if fault is None:
                try:
                    row = decode(original)
                except msgspec.DecodeError as error:
                    fault = ContractError("malformed", "$", str(error))
                else:
                    if not isinstance(row, dict):
                        row, fault = None, ContractError("malformed", "$", "a line must hold a JSON object")
            yield Read(self._lines.number, row, original, fault)

    def _ddex_rows(self) -> Iterator[Read]:
        reader = DdexReader(str(self.path))
        while (text := self._lines.next_text()) is not None:
            original = self._lines.taken()
            fault, row = self._lines.fault(original), None
            try:
                row = reader.line(text, self._lines.number)
            except ContractError as broken:
                fault = fault or broken
            if row is not None or fault is not None:
                yield Read(self._lines.number, None if fault else row, original, fault)
        reader.end()

    def _parquet_rows(self) -> Iterator[Read]:
        import pyarrow

        number = 0
        batches = self._parquet.iter_batches(batch_size=8192)
        while True:
            try:
                batch = next(batches, None)
            except (pyarrow.ArrowException, OSError, EOFError, zlib.error) as error:
                raise ConfigurationError(f"{self.path} breaks off after row {number}: {error}") from None
            if batch is None:
                return
            for row in batch.to_pylist():
                number += 1
                yield Read(number, row, b"")


def original_of(read: Read) -> bytes:
    """The row as it stood in the file; of a Parquet row, its values as JSON."""
    return read.original or msgspec.json.encode(read.row, enc_hook=str)


def _unpacked(raw: IO[bytes], path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.GzipFile(fileobj=raw))
    if path.suffix == ".zst":
        import pyarrow

        return io.BufferedReader(pyarrow.CompressedInputStream(raw, "zstd"), 1 << 18)
    return raw


def _kind(path: Path, otherwise: str = "") -> str:
    suffix = Path(path.stem).suffix if path.suffix in _PACKED else path.suffix
    kind = _SUFFIXES.get(suffix.lower(), otherwise)
    if not kind:
        raise ConfigurationError(
            f"{path}: unknown kind of file; known are {', '.join(sorted(_SUFFIXES))}, each also with .gz or .zst"
        )
    return kind
