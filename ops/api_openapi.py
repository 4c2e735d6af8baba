"""The OpenAPI document: FastAPI's routes, the hot path's Starlette routes, schemas from the msgspec contracts."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from cuepoint.models.rule_preview import ExplainRequest, PreviewRequest
from cuepoint.models.rule_trial import Trial
from cuepoint.ops import api_contracts, api_pages
from cuepoint.ops.api_bodies import Json
from cuepoint.ops.api_problems import PROBLEM_JSON
from cuepoint.ops.asset_forecast import AssetForecast
from cuepoint.schemas.ads import LineItem
from cuepoint.schemas.media import ExternalAsset, Playlist, Video
from cuepoint.schemas.rules import AdRule
from cuepoint.streams.history_rows import Overview

_REF = "#/components/schemas/{name}"
_OPEN = ("/healthz", "/readyz", "/metrics")
_DESCRIPTION = """Streaming event processing for media catalogues and on-demand video.

Errors are `application/problem+json` (RFC 9457). Keys go into `Authorization: Bearer KEY`: player keys send events
and read decisions, read keys read, the admin key also writes rules. Times are milliseconds since 1970-01-01T00:00Z.
"""


def described(answer: type, *, body: type[msgspec.Struct] | None = None, status: int = 200) -> dict[str, Any]:
    """Keyword arguments of a FastAPI route that answers with ``answer`` (a msgspec struct): its entry here."""
    extra: dict[str, Any] = {"responses": {str(status): _json_answer(answer.__name__)}}
    if body is not None:
        schema = {"schema": _ref(body.__name__)}
        extra["requestBody"] = {"required": True, "content": {"application/json": schema, "application/yaml": schema}}
    return {"openapi_extra": extra, "response_class": Json, "response_model": None, "status_code": status}


def install_openapi(app: FastAPI) -> None:
    """Make ``app.openapi`` (and with it /openapi.json) describe everything."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[
            {"name": "players", "description": "Events in, decisions out"},
            {"name": "rules", "description": "Ad-insertion rules"},
            {"name": "media", "description": "Videos, cue points, playlists, external assets"},
            {"name": "ads", "description": "Line items, and breaks as VAST, VMAP and HLS interstitials"},
            {"name": "reading", "description": "What was found and decided"},
            {"name": "webhooks", "description": "Alerts sent to subscribers, after Standard Webhooks 1.0.0"},
            {"name": "viewers", "description": "What is kept of a viewer, told and erased"},
            {"name": "operations", "description": "Probes and metrics"},
        ],
    )
    document["paths"] = _player_paths() | document["paths"]
    components = document.setdefault("components", {})
    components["schemas"] = _schemas()
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key"},
        "sessionToken": {
            "type": "apiKey",
            "in": "query",
            "name": "token",
            "description": "A session's token, from the answer to POST /v1/events",
        },
    }
    document["security"] = [{"apiKey": []}]
    for path, item in document["paths"].items():
        for operation in item.values():
            operation["responses"].pop("422", None)  # FastAPI's own error body, which we do not send
            operation["responses"]["default"] = _answer("A problem", PROBLEM_JSON, _ref("ProblemDetails"))
            if path in _OPEN:
                operation["security"] = []
    return document


def _schemas() -> dict[str, Any]:
    modules = (api_contracts, api_pages)
    named = [thing for module in modules for thing in vars(module).values() if isinstance(thing, type)]
    contracts = {AdRule, PreviewRequest, ExplainRequest, Trial, Overview, Video, Playlist, ExternalAsset, LineItem}
    contracts |= {AssetForecast}
    kinds = {kind for kind in named if issubclass(kind, msgspec.Struct)} | contracts
    _, schemas = msgspec.json.schema_components(sorted(kinds, key=lambda kind: kind.__name__), ref_template=_REF)
    return schemas


def _player_paths() -> dict[str, Any]:
    either: list[dict[str, list[str]]] = [{"apiKey": []}, {"sessionToken": []}]
    return {
        "/v1/events": {
            "post": {
                "operationId": "post_events",
                "tags": ["players"],
                "summary": "Take in player events",
                "description": "Answers once the broker has acknowledged them. Each refused event is named in `errors` "
                "and kept in the dead-letter topic; the others are taken. With a session token the body may be "
                "text/plain (sendBeacon) and holds events of that session only.",
                "security": either,
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": _ref("EventsBody")},
                        "text/plain": {"schema": {"type": "string", "contentMediaType": "application/json"}},
                    },
                },
                "responses": {"202": _json_answer("EventsAnswer")},
            }
        },
        "/v1/sessions/{session_id}/decisions": {
            "get": {
                "operationId": "poll_decisions",
                "tags": ["players"],
                "summary": "Poll a session's ad decisions",
                "security": either,
                "parameters": [_SESSION, _AFTER, _header("If-None-Match", "The ETag of the last answer")],
                "responses": {
                    "200": _json_answer("DecisionsAnswer"),
                    "304": {"description": "Nothing newer than the ETag's decision"},
                },
            }
        },
        "/v1/sessions/{session_id}/decisions/stream": {
            "get": {
                "operationId": "stream_decisions",
                "tags": ["players"],
                "summary": "A session's ad decisions as server-sent events",
                "description": "`event: decision`, `id`: the decision's number, `data`: an AdDecision. Comments keep "
                "the connection alive; it ends after a while and is to be opened again, with Last-Event-ID.",
                "security": either,
                "parameters": [_SESSION, _AFTER, _header("Last-Event-ID", "Number of the last decision seen")],
                "responses": {"200": _answer("Server-sent events", "text/event-stream", {"type": "string"})},
            }
        },
    }


_SESSION = {"name": "session_id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 128}}
_AFTER = {
    "name": "after",
    "in": "query",
    "description": "Number of the last decision the caller has",
    "schema": {"type": "integer", "minimum": 0, "default": 0},
}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}


def _json_answer(name: str) -> dict[str, Any]:
    return _answer(name, "application/json", _ref(name))


def _answer(description: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}
