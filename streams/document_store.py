"""Documents in SQL: videos, playlists, external assets, line items. The topics are published from here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection, Engine, func, select, update

from cuepoint.schemas.ads import LineItem
from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.errors import CuepointError
from cuepoint.schemas.media import ExternalAsset, Playlist, Video
from cuepoint.schemas.topics import LINE_ITEMS, MEDIA, Topic
from cuepoint.streams.database import insert, reading, writing
from cuepoint.streams.document_tables import DOCUMENTS
from cuepoint.streams.outgoing import Outgoing

Document = Video | Playlist | ExternalAsset | LineItem


class Kind(NamedTuple):
    """A kind of documents: how it is called, its contract, the field of its id, where it is published."""

    name: str
    contract: type[Document]
    id_field: str
    topic: Topic

    def id_of(self, document: Document) -> str:
        return str(getattr(document, self.id_field))

    def key_of(self, document: Document) -> str:
        """The record's key on the topic: kinds that share one keep apart."""
        return self.id_of(document) if self.topic is LINE_ITEMS else f"{self.name}/{self.id_of(document)}"


VIDEOS = Kind("video", Video, "video_id", MEDIA)
PLAYLISTS = Kind("playlist", Playlist, "playlist_id", MEDIA)
EXTERNAL_ASSETS = Kind("external-asset", ExternalAsset, "external_id", MEDIA)
ORDERS = Kind("line-item", LineItem, "line_item_id", LINE_ITEMS)
KINDS = {kind.name: kind for kind in (VIDEOS, PLAYLISTS, EXTERNAL_ASSETS, ORDERS)}
_DECODE: dict[str, Callable[[bytes], Any]] = {kind.name: decoder(kind.contract).decode for kind in KINDS.values()}
_BY_SERVER = {"version": 1, "updated_at": 0}


class DocumentConflict(CuepointError):
    """Somebody else changed the document first; ``current`` is its version now (0: there is none)."""

    def __init__(self, kind: Kind, document_id: str, current: int) -> None:
        super().__init__(f"{kind.name} {document_id} is at version {current} now")
        self.current = current


class DocumentStore:
    """Synchronous; every call is one transaction. All raise Unavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, kind: Kind, document_id: str) -> Any:
        """The newest version, also of one that was removed; None where there never was one."""
        with reading(self._engine) as connection:
            return _get(connection, kind, document_id)

    def get_many(self, kind: Kind, ids: Iterable[str]) -> dict[str, Any]:
        """The newest versions of those that are there."""
        wanted = sorted(set(ids))
        found: dict[str, Any] = {}
        with reading(self._engine) as connection:
            for first in range(0, len(wanted), 500):
                some = DOCUMENTS.c.document_id.in_(wanted[first : first + 500])
                here = (DOCUMENTS.c.kind == kind.name, DOCUMENTS.c.status != "removed", some)
                rows = connection.execute(select(DOCUMENTS.c.document_id, DOCUMENTS.c.body).where(*here))
                found.update((row.document_id, _DECODE[kind.name](row.body)) for row in rows)
        return found

    def page(self, kind: Kind, limit: int | None = None, offset: int = 0) -> tuple[list[Any], int]:
        """By id, and how many there are; without those that were removed."""
        where = (DOCUMENTS.c.kind == kind.name, DOCUMENTS.c.status != "removed")
        rows = select(DOCUMENTS.c.body).where(*where).order_by(DOCUMENTS.c.document_id).limit(limit).offset(offset)
        with reading(self._engine) as connection:
            found = [_DECODE[kind.name](body) for body in connection.scalars(rows)]
            return found, connection.scalar(select(func.count()).select_from(DOCUMENTS).where(*where)) or 0

    def stamp(self, kind: Kind) -> tuple[int, int]:
        """Equal as long as nothing of the kind has changed: (newest time, sum of versions)."""
        sums = select(func.max(DOCUMENTS.c.updated_at), func.sum(DOCUMENTS.c.version))
        with reading(self._engine) as connection:
            newest, versions = connection.execute(sums.where(DOCUMENTS.c.kind == kind.name)).one()
            return newest or 0, int(versions or 0)

    def missing(self, kind: Kind, ids: Iterable[str]) -> set[str]:
        """Which of the ids name nothing that is there."""
        wanted = sorted(set(ids))
        found: set[str] = set()
        with reading(self._engine) as connection:
            for first in range(0, len(wanted), 500):
                some = DOCUMENTS.c.document_id.in_(wanted[first : first + 500])
                here = (DOCUMENTS.c.kind == kind.name, DOCUMENTS.c.status != "removed")
                found.update(connection.scalars(select(DOCUMENTS.c.document_id).where(some, *here)))
        return set(wanted) - found

    def put(self, kind: Kind, document: Any, expected: int | None, now_ms: int) -> tuple[Any, bool]:
        """Store it as the next version; (what is stored now, whether that is new: equal content makes no version).

        ``expected`` is the version the caller saw (0: none, or removed; None: whatever is there). Raises
        DocumentConflict.
        """
        with writing(self._engine) as connection:
            return _put(connection, kind, document, expected, now_ms)

    def put_many(self, kind: Kind, documents: Sequence[Any], now_ms: int) -> list[tuple[int, bool]]:
        """Store all; of each its version, and whether that is new."""
        with writing(self._engine) as connection:
            stored = [_put(connection, kind, document, None, now_ms) for document in documents]
        return [(document.version, new) for document, new in stored]

    def unpublished(self, limit: int) -> list[tuple[Kind, Any]]:
        """What the topics do not have yet, as far as is known."""
        rows = select(DOCUMENTS.c.kind, DOCUMENTS.c.body).where(DOCUMENTS.c.published.is_(False))
        with reading(self._engine) as connection:
            found = connection.execute(rows.order_by(DOCUMENTS.c.kind, DOCUMENTS.c.document_id).limit(limit)).all()
        return [(KINDS[row.kind], _DECODE[row.kind](row.body)) for row in found]

    def mark_published(self, documents: Sequence[tuple[Kind, Any]]) -> None:
        """The broker has acknowledged these versions."""
        with writing(self._engine) as connection:
            for kind, document in documents:
                row = (*_row(kind, kind.id_of(document)), DOCUMENTS.c.version == document.version)
                connection.execute(update(DOCUMENTS).where(*row).values(published=True))


def outgoing(kind: Kind, document: Any) -> Outgoing:
    """The document as its topic has it."""
    key = kind.key_of(document)
    return Outgoing(kind.topic, key, document, f"{key}:{document.version}")


def _row(kind: Kind, document_id: str) -> tuple[Any, ...]:
    return (DOCUMENTS.c.kind == kind.name, DOCUMENTS.c.document_id == document_id)


def _get(connection: Connection, kind: Kind, document_id: str) -> Any:
    body = connection.scalar(select(DOCUMENTS.c.body).where(*_row(kind, document_id)))
    return None if body is None else _DECODE[kind.name](body)


def _put(connection: Connection, kind: Kind, document: Any, expected: int | None, now_ms: int) -> tuple[Any, bool]:
    document_id = kind.id_of(document)
    current = _get(connection, kind, document_id)
    version = 0 if current is None else int(current.version)
    seen = 0 if current is None or current.status == "removed" else version
    if expected is not None and expected != seen:
        raise DocumentConflict(kind, document_id, seen)
    if current is not None and replace(current, **_BY_SERVER) == replace(document, **_BY_SERVER):
        return current, False
    stored = replace(document, version=version + 1, updated_at=now_ms)
    values = {
        "version": stored.version,
        "status": stored.status,
        "published": False,
        "updated_at": now_ms,
        "body": encode(stored),
    }
    key = {"kind": kind.name, "document_id": document_id}
    if current is None:
        done = connection.execute(insert(connection, DOCUMENTS).values(key | values).on_conflict_do_nothing())
    else:
        here = update(DOCUMENTS).where(*_row(kind, document_id), DOCUMENTS.c.version == version)
        done = connection.execute(here.values(values))
    if done.rowcount == 0:  # PostgreSQL: another transaction was faster
        raise DocumentConflict(kind, document_id, version + 1)
    return stored, True
