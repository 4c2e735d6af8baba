"""Documents over HTTP, each kind alike: list, read, create, change under a version condition, remove, import."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Depends, Path, Request
from msgspec.structs import replace
from starlette.responses import Response

from cuepoint.models.media_import import ImportRow, csv_rows, json_rows
from cuepoint.ops.api_bodies import Json, media_type, read_body
from cuepoint.ops.api_conditions import Condition, etag_of
from cuepoint.ops.api_contracts import ImportAnswer, RefusedLine
from cuepoint.ops.api_openapi import described
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_problems import Problem
from cuepoint.ops.api_reads import Cursor, Limit, next_cursor, offset_of
from cuepoint.schemas.codec import explain, type_name
from cuepoint.schemas.errors import ContractError
from cuepoint.streams.document_store import DocumentConflict, Kind

Id = Annotated[str, Path(max_length=128, pattern=r"^[^\s\x00]+$")]
_JSON_LINES = ("application/x-ndjson", "application/jsonl", "application/json-lines")


class Section(NamedTuple):
    """A kind with its path; ``page`` is the answer of a list (``items``, ``total``, ``next``); ``check`` raises
    ContractError for what types cannot say."""

    kind: Kind
    path: str
    page: Any
    tag: str
    check: Callable[[Any], None]


def add_documents(router: APIRouter, parts: ApiParts, section: Section) -> None:
    """The routes of a kind."""
    reads, writes = [Depends(_needs(parts, "read", "admin"))], [Depends(_needs(parts, "admin"))]
    kind, path, contract = section.kind, section.path, section.kind.contract

    @router.get(path, dependencies=reads, name=f"list_{kind.name}", **described(section.page))
    def page(cursor: Cursor = None, limit: Limit = 50) -> Response:
        """By id, without what was removed."""
        offset, rows = offset_of(cursor), min(limit, parts.settings.page_rows)
        found, total = parts.documents.page(kind, rows, offset)
        return Json(section.page(items=found, total=total, next=next_cursor(offset, len(found), total)))

    @router.get(path + "/{document_id}", dependencies=reads, name=f"get_{kind.name}", **described(contract))
    def get(document_id: Id) -> Response:
        """The newest version, its number as ETag."""
        document = found_document(parts, kind, document_id)
        return Json(document, headers=etag_of(document.version))

    post_entry = described(contract, body=contract, status=201)

    @router.post(path, dependencies=writes, name=f"create_{kind.name}", **post_entry)
    async def create(request: Request) -> Response:
        """A new one; 409 if its id is taken."""
        return await store_document(parts, section, await _read(request, parts, section, None), 0, given=False)

    put_entry = described(contract, body=contract)

    @router.put(path + "/{document_id}", dependencies=writes, name=f"put_{kind.name}", **put_entry)
    async def put(document_id: Id, request: Request) -> Response:
        """A new version (201 for a new one; equal content makes none). If-Match: "N" or If-None-Match: * guard against
        a change in between (412)."""
        condition = Condition(request)
        document = await _read(request, parts, section, document_id)
        if condition.exists and condition.expected is None:
            await asyncio.to_thread(found_document, parts, kind, document_id, 412)
        return await store_document(parts, section, document, condition.expected, given=condition.given)

    @router.delete(path + "/{document_id}", dependencies=writes, name=f"remove_{kind.name}", **described(contract))
    async def remove(document_id: Id, request: Request) -> Response:
        """Removes it: its last word stays on the topic, with status `removed`."""
        condition = Condition(request)
        current = await asyncio.to_thread(found_document, parts, kind, document_id)
        gone = replace(current, status="removed")
        return await store_document(parts, section, gone, condition.expected, given=condition.given)

    @router.post(path + "/import", dependencies=writes, name=f"import_{kind.name}", **described(ImportAnswer))
    async def bulk(request: Request) -> Response:
        """Many at once: JSON lines (`application/x-ndjson`) or CSV with a heading (`text/csv`). A broken line refuses
        itself only."""
        body = await read_body(request, parts.settings.import_body_bytes)
        return Json(await _import(parts, section, body, media_type(request)))


def found_document(parts: ApiParts, kind: Kind, document_id: str, status: int = 404) -> Any:
    """The newest version. Raises ``status`` where there is none."""
    document = parts.documents.get(kind, document_id)
    if document is None or document.status == "removed":
        code = "not-found" if status == 404 else "version-conflict"
        raise Problem(status, code, f"There is no {kind.name} {document_id[:128]}.")
    return document


async def store_document(
    parts: ApiParts, section: Section, document: Any, expected: int | None, *, given: bool
) -> Response:
    """Checked, stored and published; 202 where it is stored but waits for the broker."""
    kind = section.kind
    if document.status != "removed":
        await asyncio.to_thread(section.check, document)
    try:
        stored, new = await asyncio.to_thread(parts.documents.put, kind, document, expected, _now_ms())
    except DocumentConflict as error:
        detail = f"The {kind.name}'s current version is {error.current}."
        if given:
            raise Problem(412, "version-conflict", detail, headers=etag_of(error.current)) from None
        raise Problem(409, "exists-already", detail) from None
    published = await parts.document_publisher.publish([(kind, stored)]) if new else True
    status = 202 if not published else 201 if stored.version == 1 and new else 200
    place = {"location": f"/v1{section.path}/{kind.id_of(stored)}"}
    return Json(stored, status_code=status, headers=etag_of(stored.version) | place)


def read_document(section: Section, value: Any, document_id: str | None = None) -> Any:
    """The document of plain values; version and time are the server's. Raises ContractError."""
    kind = section.kind
    if not isinstance(value, dict):
        raise ContractError("invalid", "$", "expected an object")
    value = {name: item for name, item in value.items() if name not in ("version", "updated_at")}
    value.setdefault("type", type_name(kind.contract))
    if document_id is not None and value.setdefault(kind.id_field, document_id) != document_id:
        raise ContractError("invalid", f"$.{kind.id_field}", f"the path says {document_id}")
    try:
        return msgspec.convert(value, kind.contract)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _explained(error) from None


async def _read(request: Request, parts: ApiParts, section: Section, document_id: str | None) -> Any:
    body = await read_body(request, parts.settings.document_body_bytes)
    if media_type(request) != "application/json":
        raise Problem(415, "unsupported-media-type", "Send application/json.")
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _explained(error) from None
    return read_document(section, value, document_id)


async def _import(parts: ApiParts, section: Section, body: bytes, kind: str) -> ImportAnswer:
    if kind not in (*_JSON_LINES, "text/csv"):
        raise Problem(415, "unsupported-media-type", "Send application/x-ndjson or text/csv.")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractError("malformed", "$", f"not UTF-8 at byte {error.start}") from None
    rows = csv_rows(text) if kind == "text/csv" else json_rows(text)
    documents, errors = await asyncio.to_thread(_sorted_out, section, rows)
    stored = await asyncio.to_thread(parts.documents.put_many, section.kind, documents, _now_ms())
    created = sum(new and version == 1 for version, new in stored)
    changed = sum(new for _, new in stored) - created
    await parts.document_publisher.publish_waiting()
    return ImportAnswer(created=created, changed=changed, unchanged=len(stored) - created - changed, errors=errors)


def _sorted_out(section: Section, rows: Iterator[ImportRow]) -> tuple[list[Any], list[RefusedLine]]:
    documents, errors = [], []
    for row in rows:
        error = row.error
        if error is None:
            try:
                document = read_document(section, row.value)
                section.check(document)
                documents.append(document)
            except ContractError as refused:
                error = refused
        if error is not None:
            errors.append(RefusedLine(line=row.line, code=error.code, field=error.field, reason=error.reason))
    return documents, errors


def _explained(error: Exception) -> ContractError:
    if isinstance(error, RecursionError):
        return ContractError("malformed", "$", "nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return ContractError("malformed", "$", f"not UTF-8: {error.reason}")
    return explain(error)


def _needs(parts: ApiParts, *roles: Any) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        parts.access.require(request, *roles)

    return check


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
