"""One asset across services: what they call it -> the catalogue's own id, by the assets' metadata."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from cuepoint.models.ingest_identity import names_of
from cuepoint.ops.ingest_rows import AssetKey
from cuepoint.schemas.trends import Asset

_KEPT = ("title", "artist", "isrc", "upc", "released", "owner")


def merged(known: Asset | None, told: Asset) -> Asset:
    """What is known of an asset with what is told now: the latter wins, but takes nothing away."""
    if known is None:
        return told
    fields = {name: getattr(told, name) or getattr(known, name) for name in _KEPT}
    names = list(dict.fromkeys([*known.identifiers, *told.identifiers]))
    return msgspec.structs.replace(told, identifiers=names, **fields)


class Identities:
    """The part of the catalogue that some rows speak of: of a million assets only what ``wanted`` names is kept.

    Two assets may claim one identifier: then it means the one whose id comes first, and ``ambiguous`` counts it.
    """

    def __init__(self, wanted: Sequence[AssetKey], told: Iterable[str] = ()) -> None:
        """``wanted``: what the rows call their assets; ``told``: ids of assets they bring metadata of."""
        self._names = {name for key in wanted if isinstance(key, tuple) for name in key}
        self._ids = set(told)
        self._meant: dict[str, str] = {}
        self._assets: dict[str, Asset] = {}
        self._claims: dict[str, set[str]] = {}

    @property
    def ambiguous(self) -> int:
        return sum(len(claims) > 1 for claims in self._claims.values())

    def add(self, asset: Asset) -> bool:
        """Take in metadata; whether it speaks of anything that is wanted. A later word on an asset replaces its
        earlier one, but takes no identifier away."""
        if asset.asset_id in self._ids:
            self._assets[asset.asset_id] = asset
        names = [name for name in names_of(asset) if name in self._names]
        for name in names:
            self._claims.setdefault(name, set()).add(asset.asset_id)
            self._meant[name] = min(self._claims[name])
        return bool(names)

    def asset(self, asset_id: str) -> Asset | None:
        """The metadata of an asset that is told of."""
        return self._assets.get(asset_id)

    def resolve(self, key: AssetKey) -> str | None:
        """The catalogue's id, or None where nobody has told us of the asset."""
        if isinstance(key, str):
            return key
        return next((self._meant[name] for name in key if name in self._meant), None)
