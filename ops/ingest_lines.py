"""Lines of a file with their numbers, whatever bytes are in them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cuepoint.schemas.errors import ConfigurationError, ContractError

MAX_LINE_BYTES = 1 << 20
_KEPT_BYTES = 1 << 16  # of a line that is too long


class Lines:
    """Lines of a file with their numbers; remembers the raw bytes handed out since ``taken`` was last asked."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        self._taken: list[bytes] = []
        self._long = False
        self.number = 0

    def next_text(self) -> str | None:
        """The next line, None at the end; bytes that are not UTF-8 become surrogates: a row is refused, no file."""
        try:
            raw = self._file.readline(MAX_LINE_BYTES)
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                raw = self._cut(raw)
        except (EOFError, zlib.error, OSError) as error:
            raise ConfigurationError(f"{self._path} breaks off after line {self.number}: {error}") from None
        if not raw:
            return None
        self.number += 1
        self._taken.append(raw)
        return raw.decode("utf-8", "surrogateescape")

    def texts(self) -> Iterator[str]:
        while (text := self.next_text()) is not None:
            yield text

    def taken(self) -> bytes:
        raw, self._taken = b"".join(self._taken), []
        return raw.rstrip(b"\r\n")

    def fault(self, original: bytes) -> ContractError | None:
        """What is wrong with the bytes of a row, whatever is in them."""
        if self._long:
            self._long = False
            return ContractError(
                "too_long", "$", f"a line of more than {MAX_LINE_BYTES} bytes; only its beginning is kept"
            )
        try:
            original.decode()
        except UnicodeDecodeError as error:
            return ContractError("malformed", "$", f"not UTF-8 at byte {error.start}")
        return None

    def _cut(self, raw: bytes) -> bytes:
        self._long = True
        while (more := self._file.readline(MAX_LINE_BYTES)) and not more.endswith(b"\n"):
            pass
        return raw[:_KEPT_BYTES] + b"\n"
