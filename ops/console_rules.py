"""Rules, to be read: the list, and one rule with its versions. They are written through the API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from cuepoint.models.rule_text import describe_rule
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.console_pages import render
from cuepoint.ops.console_reads import from_history, list_from_history
from cuepoint.schemas.rules import AdRule

STATUSES = ("active", "draft", "retired")


def rule_json(rule: AdRule) -> str:
    """The rule as it stands on the wire, indented."""
    return msgspec.json.format(msgspec.json.encode(rule), indent=2).decode()


async def rule_lines(parts: ApiParts, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """The one-line form of (rule id, version); one that is not in the store is left out."""

    def read() -> dict[tuple[str, int], str]:
        found = ((key, parts.rules.get(key[0], key[1])) for key in sorted(wanted))
        return {key: describe_rule(rule) for key, rule in found if rule is not None}

    nothing: dict[tuple[str, int], str] = {}
    return (await from_history(read, nothing)).value


def add_rules(router: APIRouter, parts: ApiParts) -> None:
    """Routes of the list of rules and of one rule."""

    @router.get("/rules")
    async def rules(request: Request) -> HTMLResponse:
        status = request.query_params.get("status", "")
        status = status if status in STATUSES else ""
        found = await list_from_history(lambda: parts.rules.list(status or None))
        rows = sorted(found.value, key=lambda rule: (STATUSES.index(rule.status), rule.priority, rule.rule_id))
        lines = {rule.rule_id: describe_rule(rule) for rule in rows}
        return render(
            request, "rules.html", rows=rows, lines=lines, status=status, statuses=STATUSES, problem=found.problem
        )

    @router.get("/rules/{rule_id:path}")
    async def rule(request: Request, rule_id: str) -> HTMLResponse:
        found, versions = await asyncio.gather(
            from_history(lambda: parts.rules.get(rule_id), None),
            list_from_history(lambda: parts.rules.history(rule_id)),
        )
        if found.value is None:
            return render(request, "missing.html", 404, what=f"rule {rule_id}", problem=found.problem)
        ordered = sorted(versions.value, key=lambda one: one.version, reverse=True)
        return render(
            request,
            "rule.html",
            rule=found.value,
            line=describe_rule(found.value),
            versions=[(one, describe_rule(one), rule_json(one)) for one in ordered],
            text=rule_json(found.value),
        )
