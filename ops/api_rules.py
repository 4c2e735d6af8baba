"""Rules over HTTP: create, change under a version condition, check, retire."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
import yaml
from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from cuepoint.models.rule_check import check_rule
from cuepoint.models.rule_shadow import warnings_of
from cuepoint.models.rule_text import describe_rule
from cuepoint.ops.api_bodies import Json, media_type, read_body
from cuepoint.ops.api_conditions import Condition, etag_of
from cuepoint.ops.api_contracts import RuleAnswer, RuleCheckAnswer, RuleList, RuleView, RuleWarning
from cuepoint.ops.api_openapi import described
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_problems import Problem
from cuepoint.ops.api_rule_book import conflict, same_rule
from cuepoint.schemas.codec import explain
from cuepoint.schemas.errors import ContractError, Unavailable
from cuepoint.schemas.rules import AdRule
from cuepoint.streams.rule_store import RuleConflict

Id = Annotated[str, Path(max_length=128, pattern=r"^[^\s\x00]+$")]
_YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few bytes of them unfold to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted")
        return super().compose_node(parent, index)


def rules_router(parts: ApiParts) -> APIRouter:
    """The routes under /v1/rules."""
    router = APIRouter(prefix="/v1/rules", tags=["rules"])

    def reads(request: Request) -> None:
        parts.access.require(request, "read", "admin")

    def writes(request: Request) -> None:
        parts.access.require(request, "admin")

    @router.get("", dependencies=[Depends(reads)], **described(RuleList))
    def list_rules(status: Literal["draft", "active", "retired"] | None = None) -> Response:
        """All rules in their latest version."""
        return Json(RuleList(rules=[_view(rule) for rule in parts.rules.list(status)]))

    @router.post("/check", dependencies=[Depends(writes)], **described(RuleCheckAnswer, body=AdRule))
    async def check(request: Request) -> Response:
        """Only checks: 200 with the rule's readable line, or 422 with each problem's place."""
        rule = await _read_rule(request, parts, None)
        return Json(RuleCheckAnswer(rule=rule, text=describe_rule(rule), warnings=await _warnings(parts, rule)))

    @router.get("/{rule_id}", dependencies=[Depends(reads)], **described(RuleView))
    def get_rule(rule_id: Id) -> Response:
        """The latest version, its number as ETag."""
        rule = _found(parts.rules.get(rule_id), rule_id)
        return Json(_view(rule), headers=etag_of(rule.version))

    @router.get("/{rule_id}/versions", dependencies=[Depends(reads)], **described(RuleList))
    def versions(rule_id: Id) -> Response:
        """Every version, as stored."""
        rules = parts.rules.history(rule_id)
        if not rules:
            raise _missing(rule_id)
        return Json(RuleList(rules=[_view(rule) for rule in rules]))

    @router.post("", dependencies=[Depends(writes)], **described(RuleAnswer, body=AdRule, status=201))
    async def create(request: Request) -> Response:
        """A new rule; 409 if its id is taken."""
        rule = await _read_rule(request, parts, None)
        return await _store(parts, rule, expected=0, conditional=False)

    @router.put("/{rule_id}", dependencies=[Depends(writes)], **described(RuleAnswer, body=AdRule))
    async def put(rule_id: Id, request: Request) -> Response:
        """A new version (201 for a new rule; equal content makes none). If-Match: "N" or If-None-Match: * guard against
        a change in between (412)."""
        condition = Condition(request)
        expected, conditional = condition.expected, condition.given
        rule = await _read_rule(request, parts, rule_id)
        current = await asyncio.to_thread(parts.rules.get, rule_id)
        if condition.exists and expected is None and current is None:
            raise Problem(412, "version-conflict", f"There is no rule {rule_id}.")
        if current is not None and expected in (None, current.version) and same_rule(current, rule):
            return await _unchanged(parts, current)
        return await _store(parts, rule, expected, conditional)

    @router.delete("/{rule_id}", dependencies=[Depends(writes)], **described(RuleAnswer))
    async def retire(rule_id: Id, request: Request) -> Response:
        """Retires the rule: a last version that inserts nothing. Its versions stay readable."""
        expected, conditional = (condition := Condition(request)).expected, condition.given
        current = _found(await asyncio.to_thread(parts.rules.get, rule_id), rule_id)
        if current.status == "retired" and expected in (None, current.version):
            return await _unchanged(parts, current)
        try:
            at = parts.publisher.effective_at()
            rule = await asyncio.to_thread(parts.rules.retire, rule_id, expected, at)
        except RuleConflict as error:
            raise conflict(error, conditional) from None
        return await _published(parts, rule, 200)

    return router


async def _store(parts: ApiParts, rule: AdRule, expected: int | None, conditional: bool) -> Response:
    rule = msgspec.structs.replace(rule, effective_at=parts.publisher.effective_at())
    try:
        stored = await asyncio.to_thread(parts.rules.put, rule, expected)
    except RuleConflict as error:
        raise conflict(error, conditional) from None
    return await _published(parts, stored, 201 if stored.version == 1 else 200)


async def _unchanged(parts: ApiParts, rule: AdRule) -> Response:
    published = not await parts.publisher.waits(rule)
    return await _rule_answer(parts, rule, published, 200)


async def _published(parts: ApiParts, rule: AdRule, status: int) -> Response:
    return await _rule_answer(parts, rule, await parts.publisher.publish(rule), status)


async def _warnings(parts: ApiParts, rule: AdRule) -> list[RuleWarning]:
    """What the rule cannot do because of other rules; of a draft, once it is active."""
    if rule.status == "retired":
        return []
    try:
        others = await asyncio.to_thread(parts.rules.list, "active")
    except Unavailable:
        return [RuleWarning(field="$", reason="could not be held against the other rules: the database is away")]
    return [RuleWarning(field=field, reason=reason) for field, reason in warnings_of(rule, others)]


async def _rule_answer(parts: ApiParts, rule: AdRule, published: bool, status: int) -> Response:
    """202 for a rule that is stored, but waits for the broker."""
    headers = etag_of(rule.version) | {"location": f"/v1/rules/{rule.rule_id}"}
    body = RuleAnswer(rule=rule, text=describe_rule(rule), published=published, warnings=await _warnings(parts, rule))
    return Json(body, status_code=status if published else 202, headers=headers)


async def _read_rule(request: Request, parts: ApiParts, rule_id: str | None) -> AdRule:
    """The checked rule of a JSON or YAML body; version, time and places of its effect are the server's.

    Raises ContractError.
    """
    body = await read_body(request, parts.settings.rule_body_bytes)
    value = _parse(body, media_type(request))
    if not isinstance(value, dict):
        raise ContractError("invalid", "$", "expected an object")
    value = {name: item for name, item in value.items() if name not in ("version", "effective_at", "offsets")}
    value.setdefault("type", "ad-rule.v1")
    if rule_id is not None and value.setdefault("rule_id", rule_id) != rule_id:
        raise ContractError("invalid", "$.rule_id", f"the path says {rule_id}")
    try:
        rule = msgspec.convert(value, AdRule)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _contract(error) from None
    check_rule(rule)
    return rule


def _parse(body: bytes, kind: str) -> Any:
    try:
        if kind == "application/json":
            return msgspec.json.decode(body)
        if kind in _YAML:
            return yaml.load(body, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, yaml.YAMLError) as error:
        raise _contract(error) from None
    raise Problem(415, "unsupported-media-type", "Send application/json or application/yaml.")


def _contract(error: Exception) -> ContractError:
    if isinstance(error, RecursionError):
        return ContractError("malformed", "$", "nested too deeply")
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return ContractError("malformed", f"line {mark.line + 1}, column {mark.column + 1}", str(error.problem))
    return explain(error)


def _view(rule: AdRule) -> RuleView:
    return RuleView(rule=rule, text=describe_rule(rule))


def _missing(rule_id: str) -> Problem:
    return Problem(404, "not-found", f"There is no rule {rule_id}.")


def _found(rule: AdRule | None, rule_id: str) -> AdRule:
    if rule is None:
        raise _missing(rule_id)
    return rule
