"""Mappings of reports as services send them. docs/reports.md has them field by field."""

from __future__ import annotations

from cuepoint.ops.ingest_mapping import Mapping
from cuepoint.schemas.errors import ConfigurationError

PRESETS = {
    "cuepoint": Mapping(),
    "spotify-charts": Mapping(
        columns={"asset_id": "track_id", "day": "date", "count": "streams", "title": "track", "artist": "artist"},
        constants={"dsp": "spotify", "territory": "US"},
    ),
    "trends-jsonl": Mapping(
        format="jsonl",
        columns={
            "isrc": "isrc",
            "dsp_asset_id": "track_id",
            "dsp": "dsp",
            "territory": "country",
            "region": "region",
            "report_version": "report_version",
            "day": "transaction_date",
            "count": "quantity",
            "played_seconds": "played_seconds",
            "user_id": "user_id",
            "gender": "gender",
            "birth_year": "birth_year",
            "subscription": "access",
            "context": "source",
            "container": "playlist_id",
            "container_name": "playlist_name",
            "device": "device_type",
        },
    ),
    "apple": Mapping(
        format="tsv",
        columns={
            "isrc": "ISRC",
            "dsp_asset_id": "Apple Identifier",
            "day": "Datestamp",
            "territory": "Storefront",
            "region": "Region",
            "count": "Streams",
            "consumers": "Listeners",
            "played_seconds": "Played Seconds",
            "completed": "Completed Streams",
            "context": "Source of Stream",
            "container": "Container ID",
            "container_name": "Container Name",
            "subscription": "Subscription Type",
            "device": "Device Type",
            "age_band": "Age Band",
            "gender": "Gender",
        },
        constants={"dsp": "apple-music"},
    ),
    "ddex-sr": Mapping(
        format="ddex-dsr",
        columns={
            "isrc": "ISRC",
            "dsp_asset_id": "DspResourceId",
            "upc": "ICPN",
            "dsp": "SenderName",
            "territory": "Territory",
            "day": "UsageDate",
            "report_version": "MessageCreated",
            "count": "NumberOfStreams",
            "subscription": "CommercialModel",
            "context": "UseType",
        },
    ),
}


def preset(name: str) -> Mapping:
    """The preset of that name. Raises ConfigurationError with the names there are."""
    if name not in PRESETS:
        raise ConfigurationError(f"there is no preset `{name}`; there are {', '.join(sorted(PRESETS))}")
    return PRESETS[name]
