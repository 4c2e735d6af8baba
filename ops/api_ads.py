"""Breaks for players that exist: VMAP, VAST, HLS interstitials."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote, urlencode, urljoin

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from cuepoint.models.break_plan import PlannedBreak
from cuepoint.models.hls_interstitials import Interstitial, is_multivariant, with_interstitials, with_links
from cuepoint.models.vast_document import InlineAd, vast_document
from cuepoint.models.vast_times import clock
from cuepoint.models.vmap_document import VmapBreak, vmap_document
from cuepoint.ops.ad_breaks import AdBreaks, Filled, Watching
from cuepoint.ops.ad_handout import HandOut
from cuepoint.ops.ad_tokens import AdClaim, AdTokens
from cuepoint.ops.ad_tracking import AdTracking
from cuepoint.ops.api_bodies import Json
from cuepoint.ops.api_parts import ApiParts
from cuepoint.ops.api_problems import Problem
from cuepoint.ops.manifest_fetch import Fetcher
from cuepoint.ops.player_ads import break_assets, player_break

Id = Annotated[str, Path(max_length=128, pattern=r"^[^\s\x00]+$")]
Name = Annotated[str, Query(max_length=128)]
_XML, _M3U8 = "application/xml", "application/vnd.apple.mpegurl"
_PRIVATE = {"cache-control": "private, no-store"}


def asked(  # noqa: PLR0917 - each is a query parameter
    video_id: Annotated[str, Query(min_length=1, max_length=128, pattern=r"^[^\s\x00]+$")],
    duration_s: Annotated[float | None, Query(gt=0, le=1e6)] = None,
    category: Name = "",
    channel: Name = "",
    device: Name = "",
    country: Name = "",
    viewer_id: Name = "",
    registered: bool | None = None,
    events: Literal["player", "server"] = "player",
) -> Watching:
    """FastAPI dependency: the query as one value; fields not given are unknown to criteria."""
    texts = {"category": category, "channel": channel, "device": device, "country": country}
    facts: dict[str, str | float | bool] = {name: text for name, text in texts.items() if text}
    if registered is not None:
        facts["registered"] = registered
    return Watching(video_id, duration_s, facts, viewer_id, events)


class Links(NamedTuple):
    """Addresses of a session's breaks, as the player reaches us."""

    base: str
    session_id: str
    token: str

    def to(self, break_id: str, what: str) -> str:
        place = f"/v1/sessions/{quote(self.session_id, safe='')}/breaks/{quote(break_id, safe='')}/{what}"
        return f"{self.base}{place}?{urlencode({'token': self.token})}"


def _pseudonymous(parts: ApiParts, wanted: Watching) -> Watching:
    """The viewer's id goes no further than here."""
    return wanted._replace(viewer=parts.pseudonyms.of(wanted.viewer)) if wanted.viewer else wanted


def ads_router(parts: ApiParts) -> APIRouter:
    """The routes of breaks, manifests and tracking."""
    router = APIRouter(tags=["ads"])
    handout = HandOut(parts.ad_counters, parts.producer)
    breaks = AdBreaks(parts.settings, parts.documents, parts.rules, parts.ads, handout, parts.decisions)
    tokens = AdTokens(parts.access.signer, parts.settings.session_token_s)
    tracking = AdTracking(parts.ads, parts.ad_counters, parts.producer, tokens, parts.stamps)
    _add_vmap(router, parts, breaks, tokens, tracking)
    _add_breaks(router, parts, breaks, tokens)
    _add_hls(router, parts, breaks, tracking)

    @router.get("/v1/ads/track/{event}", response_class=Response)
    async def track(event: Id, t: Annotated[str, Query(max_length=4096)], code: str = "") -> Response:
        """Told by players; each address counts once. 401 for a token that we did not make."""
        return await tracking.hear(event, t, code)

    return router


def _add_vmap(router: APIRouter, parts: ApiParts, breaks: AdBreaks, tokens: AdTokens, tracking: AdTracking) -> None:
    @router.get("/v1/sessions/{session_id}/vmap", response_class=Response)
    async def vmap(request: Request, session_id: Id, wanted: Annotated[Watching, Depends(asked)]) -> Response:
        """VMAP 1.0.1: the breaks that rules promise of the video; each one's ads are asked for when it comes. With
        `events=server` tracking is told to the rules as the session's events, for players that send none."""
        _enter(request, parts, session_id)
        planned = await _plan(breaks, tracking, session_id, _pseudonymous(parts, wanted))
        links = _links(request, parts, session_id)
        entries = [_entry(each, links, tokens, wanted.told) for each in planned]
        return Response(vmap_document(entries), media_type=_XML, headers=_PRIVATE)


def _add_breaks(router: APIRouter, parts: ApiParts, breaks: AdBreaks, tokens: AdTokens) -> None:
    @router.get("/v1/sessions/{session_id}/breaks/{break_id}/vast", response_class=Response)
    async def vast(request: Request, session_id: Id, break_id: Id) -> Response:
        """VAST 4.2 of a break that was promised, or of an ad decision, by what the session has become."""
        _enter(request, parts, session_id)
        filled = _found(await breaks.fill(session_id, break_id, hls=False), break_id)
        base = _base(request, parts)
        error = tokens.tracking(base, _claim(session_id, filled, 0)).url("error") + "&code=[ERRORCODE]"
        return Response(vast_document(_ads(session_id, filled, base, tokens), error), media_type=_XML, headers=_PRIVATE)

    @router.get("/v1/sessions/{session_id}/breaks/{break_id}/ads", response_class=Json)
    async def ads(request: Request, session_id: Id, break_id: Id) -> Response:
        """The same as JSON, for `cuepoint-player.js`."""
        _enter(request, parts, session_id)
        filled = _found(await breaks.fill(session_id, break_id, hls=False), break_id)
        base = _base(request, parts)
        told = player_break(filled, lambda slot: tokens.tracking(base, _claim(session_id, filled, slot)))
        return Json(told, headers=_PRIVATE)

    @router.get("/v1/sessions/{session_id}/breaks/{break_id}/assets", response_class=Json)
    async def assets(request: Request, session_id: Id, break_id: Id) -> Response:
        """The asset list of an HLS interstitial, resolved now, with ad creative signaling (SVTA 2053-2)."""
        _enter(request, parts, session_id)
        filled = _found(await breaks.fill(session_id, break_id, hls=True), break_id)
        base = _base(request, parts)
        told = break_assets(filled, lambda slot: tokens.tracking(base, _claim(session_id, filled, slot)))
        return Json(told, headers=_PRIVATE)


def _add_hls(router: APIRouter, parts: ApiParts, breaks: AdBreaks, tracking: AdTracking) -> None:
    fetcher = Fetcher(parts.settings)

    @router.get("/v1/sessions/{session_id}/hls", response_class=Response)
    async def hls(
        request: Request,
        session_id: Id,
        src: Annotated[str, Query(max_length=2048)],
        wanted: Annotated[Watching, Depends(asked)],
    ) -> Response:
        """The playlist at `src`, of a host that the settings allow, with an interstitial for each break that rules
        promise; of a multivariant one, each media playlist by way of here."""
        _enter(request, parts, session_id)
        text = await fetcher.playlist(src)
        links, whole = _links(request, parts, session_id), partial(urljoin, src)
        if is_multivariant(text):
            query = {name: item for name, item in request.query_params.items() if name not in ("src", "token")}
            place = f"{links.base}{request.url.path}?{urlencode(query | {'token': links.token})}"
            body = with_links(text, whole, lambda url: f"{place}&{urlencode({'src': url})}")
        else:
            planned = await _plan(breaks, tracking, session_id, _pseudonymous(parts, wanted))
            body = with_interstitials(text, whole, [_interstitial(each, links) for each in planned])
        return Response(body, media_type=_M3U8, headers=_PRIVATE)


async def _plan(breaks: AdBreaks, tracking: AdTracking, session_id: str, wanted: Watching) -> Sequence[PlannedBreak]:
    planned = await breaks.plan(session_id, wanted)
    if wanted.told == "server":
        await tracking.begin(session_id, wanted)
    return planned


def _entry(each: PlannedBreak, links: Links, tokens: AdTokens, told: str) -> VmapBreak:
    claim = AdClaim(links.session_id, each.break_id, rule_id=each.rule.rule_id, told=told)
    return VmapBreak(
        break_id=each.break_id,
        offset=each.offset,
        tracking=tokens.tracking(links.base, claim),
        tag_url=links.to(each.break_id, "vast"),
        linear=each.rule.format.screen == "full",
        repeat_after=clock(each.repeat_s) if each.repeat_s else "",
    )


def _interstitial(each: PlannedBreak, links: Links) -> Interstitial:
    cues: dict[str, Any] = {"start": "PRE", "end": "POST"}
    return Interstitial(
        id=each.break_id,
        at_s=None if each.at == "end" else each.position_s,
        asset_list_url=links.to(each.break_id, "assets"),
        cue=cues.get(each.at, ""),
        playout_limit_s=each.length_s,
        planned_s=each.length_s,
        restrict=("SKIP", "JUMP"),
    )


def _ads(session_id: str, filled: Filled, base: str, tokens: AdTokens) -> list[InlineAd]:
    ads = []
    for slot, ad in enumerate(filled.ads, 1):
        tracking = tokens.tracking(base, _claim(session_id, filled, slot))
        title = ad.title or ad.line_item_id
        name = f"{filled.break_id}.{slot}"
        ads.append(InlineAd(name, slot, title, ad.advertiser, ad.creative, ad.creative.length_s, tracking, ad.beside))
    return ads


def _claim(session_id: str, filled: Filled, slot: int) -> AdClaim:
    own: dict[str, str] = {}
    if slot:
        ad = filled.ads[slot - 1]
        creative = ad.creative
        own = {"line_item_id": ad.line_item_id, "creative_id": creative.creative_id, "ad_type": creative.type}
    return AdClaim(
        session_id,
        filled.break_id,
        slot,
        rule_id=filled.rule_id,
        decision_id=filled.decision_id,
        told=filled.told,
        **own,
    )


def _enter(request: Request, parts: ApiParts, session_id: str) -> None:
    """A player's key, or the token of this session. Raises 401, 403."""
    if request.headers.get("authorization") is not None:
        parts.access.require(request, "player", "admin")
    elif parts.access.session_of_token(request.query_params.get("token", "")) != session_id:
        raise Problem(403, "forbidden", "The token is for another session.")


def _base(request: Request, parts: ApiParts) -> str:
    return (parts.settings.public_url or str(request.base_url)).rstrip("/")


def _links(request: Request, parts: ApiParts, session_id: str) -> Links:
    return Links(_base(request, parts), session_id, parts.access.session_token(session_id, time.time()))


def _found(filled: Filled | None, break_id: str) -> Filled:
    if filled is None:
        raise Problem(404, "not-found", f"There is no break {break_id} in this session.")
    return filled
