"""What services call an asset: identifiers as ``scheme:value``."""

from __future__ import annotations

from typing import Any

from cuepoint.schemas.trends import Asset


def identifier(field: str, value: Any, dsp: str) -> str:
    """``scheme:value`` as in ``Asset.identifiers``; ``field`` is isrc, upc or dsp_asset_id.

    >>> identifier("isrc", "us-um7-19-00764", "spotify"), identifier("dsp_asset_id", 12, "spotify")
    ('isrc:USUM71900764', 'spotify:12')
    """
    text = str(value).strip()
    if field == "isrc":
        return f"isrc:{text.replace('-', '').upper()}"
    return f"{dsp if field == 'dsp_asset_id' else field}:{text}"


def names_of(asset: Asset) -> list[str]:
    """Every identifier the asset is known by, each once. ``upc`` is none of them: it is the release's.

    >>> names_of(Asset(asset_id="a", title="A", isrc="US-UM7-19-00764", identifiers=["deezer:7"]))
    ['isrc:USUM71900764', 'deezer:7']
    """
    own = [identifier("isrc", asset.isrc, "")] if asset.isrc else []
    given = (identifier("isrc", name[5:], "") if name.startswith("isrc:") else name for name in asset.identifiers)
    return list(dict.fromkeys([*own, *given]))
