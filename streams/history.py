"""Writing history: what the topics say, each batch in one transaction with the partition's offset."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Table, and_, case, delete, func, or_, select

from cuepoint.schemas.ads import AdEvent
from cuepoint.schemas.codec import encode
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.opportunities import Explanation, Opportunity
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.topics import QUARANTINE
from cuepoint.schemas.trends import Asset, AssetDay, Change, ReportCompleted, ReportOpened
from cuepoint.streams import tables
from cuepoint.streams.ad_history import drop_viewers, write_ad_events
from cuepoint.streams.database import insert, reading, writing
from cuepoint.streams.history_quarantine import empty_quarantine, write_quarantine
from cuepoint.streams.history_reasons import write_reasons
from cuepoint.streams.history_rows import Recorded

_DAY_MS = 86_400_000
_CAP_DAYS = 2  # whom ads were handed out to is asked for no longer


class HistoryWriter:
    """``log_id`` is the incarnation of the log that offsets belong to; ``quarantine_rows`` the most that wait there.
    All methods raise Unavailable."""

    def __init__(self, engine: Engine, log_id: str = "", quarantine_rows: int = 200_000) -> None:
        self._engine, self._log_id, self._quarantine_rows = engine, log_id, quarantine_rows

    def position(self, topic: str, partition: int) -> int | None:
        """The last offset of the partition that is in; None for none."""
        with reading(self._engine) as connection:
            return self._position(connection, topic, partition)

    def write(self, topic: str, partition: int, last: int, recorded: Sequence[Recorded]) -> bool:
        """Record the messages and that everything up to ``last`` is in; those that are in already are left out.

        False when all of it was in.
        """
        with writing(self._engine) as connection:
            known = self._position(connection, topic, partition)
            if known is not None and known >= last:
                return False
            new = [each for each in recorded if known is None or each.offset > known]
            if topic == QUARANTINE.name:  # what assets and reports say there is of the quarantine alone
                if known is None:
                    empty_quarantine(connection)
                write_quarantine(connection, new, self._quarantine_rows)
            else:
                self._write(connection, new)
            place = {"log_id": self._log_id, "topic": topic, "partition": partition, "last": last}
            upsert = insert(connection, tables.POSITIONS).values(place)
            connection.execute(
                upsert.on_conflict_do_update(index_elements=tables.POSITIONS.primary_key, set_={"last": last})
            )
        return True

    def _write(self, connection: Connection, new: Sequence[Recorded]) -> None:
        for kind, write in _WRITERS.items():
            chosen = [each for each in new if isinstance(each.message, kind)]
            if chosen:
                write(connection, chosen)
        self._write_letters(connection, [each for each in new if isinstance(each.message, DeadLetter)])

    def prune(self, now_ms: int, history_days: int, trend_history_days: int) -> int:
        """Remove sessions, decisions and dead letters older than ``history_days``, asset days, closed changes and
        reports older than ``trend_history_days``. Returns the number of rows removed."""
        oldest_ms = now_ms - history_days * _DAY_MS
        now = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
        oldest_day = (now - dt.timedelta(days=trend_history_days)).date()
        removed = 0
        with writing(self._engine) as connection:
            for table, column in (
                (tables.SESSIONS, tables.SESSIONS.c.last_at),
                (tables.SESSION_EVENTS, tables.SESSION_EVENTS.c.at),
                (tables.DECISIONS, tables.DECISIONS.c.at),
                (tables.AD_EVENT_ROWS, tables.AD_EVENT_ROWS.c.at),
                (tables.DEAD_LETTERS, tables.DEAD_LETTERS.c.at),
            ):
                removed += connection.execute(delete(table).where(column < oldest_ms)).rowcount
            drop_viewers(connection, now_ms - _CAP_DAYS * _DAY_MS)
            for table in (tables.ASSET_DAYS, tables.REPORTS, tables.REASONS):
                removed += connection.execute(delete(table).where(table.c.day < oldest_day)).rowcount
            over = tables.CHANGES.c.status.in_(("closed", "withdrawn"))
            removed += connection.execute(
                delete(tables.CHANGES).where(tables.CHANGES.c.day < oldest_day, over)
            ).rowcount
        return removed

    def _position(self, connection: Connection, topic: str, partition: int) -> int | None:
        table = tables.POSITIONS
        found: int | None = connection.execute(
            select(table.c.last).where(
                table.c.log_id == self._log_id, table.c.topic == topic, table.c.partition == partition
            )
        ).scalar()
        return found

    def _write_letters(self, connection: Connection, recorded: Iterable[Recorded]) -> None:
        rows = []
        for _, _, letter in recorded:
            assert isinstance(letter, DeadLetter)
            # The same record refused again after a crash is the same letter; an offset only means something in its log.
            place = (letter.topic, letter.partition, letter.offset, letter.source, letter.line, letter.code)
            log_id = "" if letter.offset is None else self._log_id
            digest = hashlib.sha256(repr((log_id, *place)).encode() + letter.original).hexdigest()
            rows.append(
                {"digest": digest, "topic": letter.topic, "code": letter.code, "at": letter.at, "body": encode(letter)}
            )
        if rows:
            connection.execute(insert(connection, tables.DEAD_LETTERS).on_conflict_do_nothing(), rows)


def _write_changes(connection: Connection, recorded: Sequence[Recorded]) -> None:
    rows = []
    for _, at, change in recorded:
        assert isinstance(change, Change)
        rows.append(
            {
                "change_id": change.change_id,
                "revision": change.revision,
                "status": change.status,
                "asset_id": change.asset_id,
                "kind": change.kind,
                "direction": change.direction,
                "start": change.start,
                "day": change.day,
                "opened_at": at,
                "updated_at": at,
                "size_percent": change.size_percent,
                "size_per_day": change.size_per_day,
                "body": encode(change),
            }
        )
    table = tables.CHANGES
    upsert = insert(connection, table)
    kept = {"change_id", "opened_at"}
    connection.execute(
        upsert.on_conflict_do_update(
            index_elements=table.primary_key,
            set_={column.name: upsert.excluded[column.name] for column in table.c if column.name not in kept},
            where=upsert.excluded.revision > table.c.revision,
        ),
        rows,
    )


def _write_asset_days(connection: Connection, recorded: Sequence[Recorded]) -> None:
    rows = []
    for _, _, day in recorded:
        assert isinstance(day, AssetDay)
        rows.append({"asset_id": day.asset_id, "day": day.day, "body": encode(day)})
    _replace(connection, tables.ASSET_DAYS, rows)


def _write_assets(connection: Connection, recorded: Sequence[Recorded]) -> None:
    rows = []
    for _, _, asset in recorded:
        assert isinstance(asset, Asset)
        rows.append(
            {
                "asset_id": asset.asset_id,
                "title": asset.title,
                "artist": asset.artist,
                "isrc": asset.isrc,
                "upc": asset.upc,
                "released": asset.released,
                "owner": asset.owner,
                "search": f"{asset.asset_id} {asset.title} {asset.artist}".lower(),
            }
        )
    _replace(connection, tables.ASSETS, rows)


def _write_events(connection: Connection, recorded: Sequence[Recorded]) -> None:
    events, sessions = [], []
    for _, at, event in recorded:
        assert isinstance(event, PlayerEvent)
        received_at = event.received_at or at
        events.append(
            {
                "session_id": event.session_id,
                "event_id": event.event_id,
                "seq": event.seq,
                "at": received_at,
                "kind": event.kind,
                "video_id": event.video_id,
                "body": encode(event),
            }
        )
        sessions.append(
            {
                "session_id": event.session_id,
                "first_at": received_at,
                "last_at": received_at,
                "ended": event.kind == "session_ended",
                "viewer_id": event.viewer_id,
                "device": event.device,
                "country": event.country,
                "video_id": event.video_id,
            }
        )
    connection.execute(insert(connection, tables.SESSION_EVENTS).on_conflict_do_nothing(), events)
    table, upsert = tables.SESSIONS, insert(connection, tables.SESSIONS)
    new, old = upsert.excluded, table.c
    newer = or_(new.last_at >= old.last_at, old.video_id.is_(None))
    changed = {
        "first_at": case((new.first_at < old.first_at, new.first_at), else_=old.first_at),
        "last_at": case((new.last_at > old.last_at, new.last_at), else_=old.last_at),
        "ended": or_(new.ended, old.ended),
        "viewer_id": func.coalesce(new.viewer_id, old.viewer_id),
        "device": case((new.device != "", new.device), else_=old.device),
        "country": case((new.country != "", new.country), else_=old.country),
        "video_id": case((and_(new.video_id.is_not(None), newer), new.video_id), else_=old.video_id),
    }
    connection.execute(upsert.on_conflict_do_update(index_elements=table.primary_key, set_=changed), sessions)


def _write_decisions(connection: Connection, recorded: Sequence[Recorded]) -> None:
    rows = []
    for _, _, decision in recorded:
        assert isinstance(decision, AdDecision)
        rows.append(
            {
                "decision_id": decision.decision_id,
                "session_id": decision.session_id,
                "number": decision.number,
                "at": decision.decided_at,
                "body": encode(decision),
            }
        )
    connection.execute(insert(connection, tables.DECISIONS).on_conflict_do_nothing(), rows)


def _write_reports(connection: Connection, recorded: Sequence[Recorded]) -> None:
    table, upsert = tables.REPORTS, insert(connection, tables.REPORTS)
    rows = []
    for _, at, marker in recorded:
        assert isinstance(marker, ReportOpened | ReportCompleted)
        completed = isinstance(marker, ReportCompleted)
        rows.append(
            {
                "dsp": marker.dsp,
                "territory": marker.territory,
                "day": marker.day,
                "version": marker.version,
                "opened_at": None if completed else at,
                "completed_at": at if completed else None,
                "records": marker.records if isinstance(marker, ReportCompleted) else None,
                "source": marker.source,
            }
        )
    new, old = upsert.excluded, table.c
    changed = {name: func.coalesce(old[name], new[name]) for name in ("opened_at", "completed_at", "records")}
    connection.execute(upsert.on_conflict_do_update(index_elements=table.primary_key, set_=changed), rows)


def _replace(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    upsert = insert(connection, table)
    keys = set(table.primary_key.columns.keys())
    changed = {column.name: upsert.excluded[column.name] for column in table.c if column.name not in keys}
    connection.execute(upsert.on_conflict_do_update(index_elements=table.primary_key, set_=changed), rows)


_WRITERS: dict[Any, Callable[[Connection, Sequence[Recorded]], None]] = {
    Change: _write_changes,
    AssetDay: _write_asset_days,
    Asset: _write_assets,
    (Explanation, Opportunity): write_reasons,
    PlayerEvent: _write_events,
    AdDecision: _write_decisions,
    AdEvent: write_ad_events,
    (ReportOpened, ReportCompleted): _write_reports,
}
