"""The filters of the list of changes, as they stand in its address: whoever has the address sees the same list."""

from __future__ import annotations

import math
from typing import Any, Literal, cast
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from cuepoint.streams.change_search import ChangeFilter

CHOICES = {
    "kind": {"": "Any", "rapid": "Rapid", "gradual": "Gradual"},
    "direction": {"": "Any", "up": "Up", "down": "Down"},
    "status": {"": "Any but withdrawn", "open": "Open", "closed": "Closed", "withdrawn": "Withdrawn"},
    "opportunity": {
        "": "Any",
        "any": "Opportunities",
        "accelerate": "Goal: accelerate",
        "expand": "Goal: expand",
        "sustain": "Goal: sustain",
        "none": "No opportunity",
    },
    "origin": {"": "Real and simulated", "real": "Real", "simulated": "Simulated"},
    "order": {"": "Newest first", "largest": "Largest first"},
}
_MOST = 1e15


class ChangeFilters(msgspec.Struct, frozen=True):
    """An unknown value counts as not given. ``percent`` and ``streams`` are least sizes, "" for none."""

    kind: str = ""
    direction: str = ""
    status: str = ""
    opportunity: str = ""
    origin: str = ""
    order: str = ""
    owner: str = ""
    percent: str = ""
    streams: str = ""
    q: str = ""
    page: int = 1

    def address(self, path: str = "/changes", **changed: Any) -> str:
        """The address of ``path`` with these filters, some of them changed."""
        values = msgspec.to_builtins(self) | changed
        kept = {key: value for key, value in values.items() if value and (key, value) != ("page", 1)}
        return path + (f"?{urlencode(kept)}" if kept else "")

    def wanted(self) -> ChangeFilter:
        """As HistoryReader.changes takes them."""
        return ChangeFilter(
            kind=self.kind or None,
            direction=self.direction or None,
            status=self.status or None,
            query=self.q,
            owner=self.owner or None,
            least_percent=float(self.percent or 0) or None,
            least_per_day=float(self.streams or 0) or None,
            verdict=self.opportunity or None,
            simulated=None if not self.origin else self.origin == "simulated",
            order=cast("Literal['newest', 'largest']", self.order or "newest"),
        )

    @property
    def any(self) -> bool:
        """Whether they leave changes out."""
        return msgspec.structs.replace(self, page=1, order="") != ChangeFilters()


def page_number(text: str) -> int:
    """A page from an address: 1 where it is not a number."""
    return min(max(int(text), 1), 100_000) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def size_text(text: str) -> str:
    """A least size from an address, "" where it is none.

    >>> size_text(" 1,000 "), size_text("12.5%"), size_text("many"), size_text("-3"), size_text("nan")
    ('1000', '12.5', '', '', '')
    """
    plain = text.strip().rstrip("%").replace(",", "")
    try:
        value = float(plain)
    except ValueError:
        return ""
    return plain[:32] if math.isfinite(value) and 0 < value < _MOST else ""


def read_filters(request: Request) -> ChangeFilters:
    """Filters from the query of a request."""
    query = request.query_params
    chosen = {key: query.get(key, "") if query.get(key, "") in values else "" for key, values in CHOICES.items()}
    return ChangeFilters(
        **chosen,
        owner=plain_text(query.get("owner", ""), 512),
        percent=size_text(query.get("percent", "")),
        streams=size_text(query.get("streams", "")),
        q=plain_text(query.get("q", ""), 100),
        page=page_number(query.get("page", "1")),
    )


def plain_text(text: str, most: int) -> str:
    """Text for a query: without NUL, which PostgreSQL takes in no text."""
    return text.replace("\x00", "").strip()[:most]
