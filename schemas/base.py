"""What every contract shares: a strict struct with its type and version in the value itself."""

from __future__ import annotations

from typing import Annotated

import msgspec

Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\s\x00-\x1f]+$")]
Text = Annotated[str, msgspec.Meta(max_length=512)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Version = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
EpochMs = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999, description="milliseconds since 1970-01-01T00:00Z")]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Territory = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2, or WW for the world")]


class Contract(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """A message of a topic. ``type`` carries name and version (``trend-record.v1``), so that an unknown version is
    refused by the decoder with the place (``$.type``) and never misread."""
