"""How popular assets are, by the catalogue half: what a start of their video tells the rules."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Engine, func, select

from cuepoint.models.event_stamps import trend_of
from cuepoint.schemas.trends import AssetDay, Change
from cuepoint.streams.database import reading
from cuepoint.streams.tables import ASSET_DAYS, CHANGES

_OPEN = CHANGES.c.status.in_(("opened", "updated"))
_change = msgspec.json.Decoder(Change).decode
_asset_day = msgspec.json.Decoder(AssetDay).decode


def read_trends(engine: Engine, asset_ids: Sequence[str]) -> dict[str, float]:
    """Of each asset that is known its views over those expected. Raises Unavailable."""
    wanted = list(dict.fromkeys(asset_ids))[:500]
    newest = (
        select(ASSET_DAYS.c.asset_id, func.max(ASSET_DAYS.c.day).label("day"))
        .where(ASSET_DAYS.c.asset_id.in_(wanted))
        .group_by(ASSET_DAYS.c.asset_id)
        .subquery()
    )
    days = select(ASSET_DAYS.c.body).join(
        newest, (ASSET_DAYS.c.asset_id == newest.c.asset_id) & (ASSET_DAYS.c.day == newest.c.day)
    )
    changes = select(CHANGES.c.body).where(CHANGES.c.asset_id.in_(wanted), _OPEN)
    with reading(engine) as connection:
        last = {day.asset_id: day for day in map(_asset_day, connection.scalars(days))}
        rows = connection.scalars(changes.order_by(CHANGES.c.day, CHANGES.c.change_id))
        under_way = {change.asset_id: change for change in map(_change, rows)}
    told = {asset_id: trend_of(last.get(asset_id), under_way.get(asset_id)) for asset_id in wanted}
    return {asset_id: trend for asset_id, trend in told.items() if trend is not None}
