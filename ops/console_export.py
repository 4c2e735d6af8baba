"""Lists as CSV for spreadsheets: text that would be a formula there is made text, see OWASP "CSV Injection"."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from starlette.responses import StreamingResponse

from cuepoint.ops.console_reasons import cause_words
from cuepoint.streams.change_search import SIMULATED_PREFIX
from cuepoint.streams.history_rows import ChangeRow

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_OF_CHANGE = (
    *("change_id", "revision", "status", "kind", "direction", "start", "end", "day", "probability", "size_per_day"),
    *("size_percent", "count", "expected", "effect", "effect_lower_95", "effect_upper_95"),
)
CHANGE_COLUMNS = (
    *("asset_id", "title", "artist", "owner", "simulated", *_OF_CHANGE),
    *("likeliest_cause", "cause_probability", "opportunity_probability", "campaign_goal"),
)


def safe(value: Any) -> Any:
    """A cell no spreadsheet takes for a formula; numbers stay numbers.

    >>> safe("=1+1"), safe("Song"), safe(-3.5), safe(None)
    ("'=1+1", 'Song', -3.5, '')
    """
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def change_cells(row: ChangeRow) -> list[Any]:
    """One change as CHANGE_COLUMNS."""
    change, said, verdict = row.change, row.explanation, row.opportunity
    cause = said.causes[0] if said and said.causes else None
    simulated = "yes" if change.asset_id.startswith(SIMULATED_PREFIX) else "no"
    return [
        *(change.asset_id, row.title, row.artist, row.owner, simulated),
        *(getattr(change, name) for name in _OF_CHANGE),
        *((cause_words(cause), cause.probability) if cause else ("", None)),
        *((verdict.probability, verdict.goal if verdict.opportunity else None) if verdict else (None, None)),
    ]


def csv_answer(name: str, columns: Sequence[str], parts: Iterable[list[list[Any]]]) -> StreamingResponse:
    """A file to download, made part by part; a byte-order mark, so that spreadsheets read it as UTF-8."""

    def text() -> Iterator[str]:
        yield "\N{ZERO WIDTH NO-BREAK SPACE}"
        for rows in chain([[list(columns)]], parts):
            out = io.StringIO()
            csv.writer(out).writerows([safe(cell) for cell in row] for row in rows)
            yield out.getvalue()

    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(text(), media_type="text/csv; charset=utf-8", headers=headers)
