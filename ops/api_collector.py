"""``POST /v1/events``: what players say, taken in and acknowledged by the broker before the answer."""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cuepoint.ops.api_auth import Access, unauthorised
from cuepoint.ops.api_bodies import Json, media_type, read_body
from cuepoint.ops.api_contracts import EventError, EventsAnswer
from cuepoint.ops.api_limits import TokenBuckets
from cuepoint.ops.api_problems import Problem, too_many
from cuepoint.ops.event_stamps import EventStamps
from cuepoint.ops.settings import Settings
from cuepoint.ops.viewer_names import Pseudonyms
from cuepoint.schemas.codec import explain
from cuepoint.schemas.errors import ContractError
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.topics import DEAD_PLAYER_EVENTS, PLAYER_EVENTS
from cuepoint.streams.metrics import EVENTS_DEAD
from cuepoint.streams.outgoing import Outgoing
from cuepoint.streams.producer import AsyncProducer, Busy

_POSITION_SLACK_S = 1.0  # players round positions and durations each in their own way
_REASON_CHARS = 500


class _Body(msgspec.Struct):
    events: list[msgspec.Raw]  # decoded one by one: a broken event does not refuse its neighbours


class _Named(msgspec.Struct):
    event_id: object = None


class Sender(NamedTuple):
    """Who sends: ``session_id`` None for an API key, else the one session its token is for."""

    name: str
    session_id: str | None
    buckets: TokenBuckets


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_event = msgspec.json.Decoder(PlayerEvent).decode
_decode_name = msgspec.json.Decoder(_Named).decode
_set = msgspec.structs.force_setattr


class Collector:
    """The endpoint. Holds buckets of its own process only; everything else goes to the broker."""

    def __init__(self, settings: Settings, access: Access, producer: AsyncProducer, stamps: EventStamps) -> None:
        self._settings, self._access, self._producer, self._stamps = settings, access, producer, stamps
        self._pseudonyms = Pseudonyms(settings)
        self._key_buckets = TokenBuckets(settings.collector_events_per_s, settings.collector_burst_events)
        self._session_buckets = TokenBuckets(settings.session_events_per_s, settings.session_burst_events)

    async def post(self, request: Request) -> Response:
        """202 with what was refused, once the broker has acknowledged everything. Raises Problem."""
        sender = self._sender(request)
        self._charge(sender, 1)  # a refused request costs as well
        now_ms = time.time_ns() // 1_000_000
        body = await read_body(request, self._settings.collector_body_bytes)
        raws = await self._events_of(body, sender, now_ms)
        if len(raws) > self._settings.collector_events:
            raise Problem(413, "too-many-events", f"A body may have at most {self._settings.collector_events} events.")
        if len(raws) > 1:
            self._charge(sender, len(raws) - 1)
        read = [self._read_event(raw, sender.session_id) for raw in raws]
        for place, refused in (await self._stamps.add(read)).items():
            read[place] = refused
        messages, errors, sessions = self._sorted_out(raws, read, sender, now_ms)
        await self._deliver(messages)
        for error in errors:
            EVENTS_DEAD.labels(PLAYER_EVENTS.name, error.code).inc()
        tokens = {}
        if sender.session_id is None:
            tokens = {session_id: self._access.session_token(session_id, now_ms / 1000) for session_id in sessions}
        return Json(EventsAnswer(accepted=len(raws) - len(errors), errors=errors, tokens=tokens), status_code=202)

    def _sender(self, request: Request) -> Sender:
        """An API key takes JSON; a session token also text/plain (sendBeacon can send no other without a preflight)."""
        kind = media_type(request)
        if (key := self._access.bearer(request)) is not None:
            if key[0] != "player":
                raise Problem(403, "forbidden", "This key is not a player's.")
            if kind != "application/json":
                raise Problem(415, "unsupported-media-type", "Send application/json.")
            return Sender(key[1], None, self._key_buckets)
        token = request.query_params.get("token")
        if token is None:
            raise unauthorised("Send an API key (Authorization: Bearer KEY) or a session token (?token=).")
        session_id = self._access.session_of_token(token)
        if kind not in ("application/json", "text/plain"):
            raise Problem(415, "unsupported-media-type", "Send application/json or text/plain.")
        return Sender(session_id, session_id, self._session_buckets)

    def _charge(self, sender: Sender, events: int) -> None:
        wait_s = sender.buckets.take(sender.name, events, time.monotonic())
        if wait_s > 0:
            raise too_many("More events than this key or session may send; slow down.", wait_s)

    async def _events_of(self, body: bytes, sender: Sender, now_ms: int) -> list[msgspec.Raw]:
        try:
            return _decode_body(body).events
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            refused = _explained(error)
            # A beacon's sender never sees the answer: what it meant to say is kept.
            await self._deliver([self._dead_letter(body, refused, sender, now_ms)])
            EVENTS_DEAD.labels(PLAYER_EVENTS.name, refused.code).inc()
            errors = [{"field": refused.field, "reason": refused.reason}]
            raise Problem(400, refused.code, 'The body is not {"events": [...]}.', errors=errors) from None

    def _read_event(self, raw: msgspec.Raw, session_id: str | None) -> PlayerEvent | ContractError:
        """The event, its viewer under a pseudonym, and without one where consent was refused; or what is wrong."""
        try:
            event = _decode_event(raw)
            _check(event, session_id)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ContractError) as error:
            return _explained(error)
        if event.consent is False:
            _set(event, "viewer_id", None)
            _set(event, "profile", "")
        elif event.viewer_id is not None:
            _set(event, "viewer_id", self._pseudonyms.of(event.viewer_id))
        return event

    def _sorted_out(
        self, raws: list[msgspec.Raw], read: list[PlayerEvent | ContractError], sender: Sender, now_ms: int
    ) -> tuple[list[Outgoing], list[EventError], set[str]]:
        """What to produce (events and dead letters), what to answer, the sessions of the accepted."""
        messages: list[Outgoing] = []
        errors: list[EventError] = []
        sessions: set[str] = set()
        for index, (raw, event) in enumerate(zip(raws, read, strict=True)):
            if isinstance(event, ContractError):
                messages.append(self._dead_letter(bytes(raw), event, sender, now_ms))
                errors.append(
                    EventError(
                        index=index,
                        event_id=_event_id(raw),
                        code=event.code,
                        field=event.field,
                        reason=event.reason[:_REASON_CHARS],
                    )
                )
                continue
            _set(event, "received_at", now_ms)  # frozen, but ours alone until it is sent
            messages.append(Outgoing(PLAYER_EVENTS, event.session_id, event, event.event_id))
            sessions.add(event.session_id)
        return messages, errors, sessions

    def _dead_letter(self, original: bytes, refused: ContractError, sender: Sender, now_ms: int) -> Outgoing:
        kept = self._pseudonyms.redacted(original)[: self._settings.dead_original_bytes]
        source = f"POST /v1/events {sender.name}"
        letter = DeadLetter.of(refused, kept, now_ms, topic=PLAYER_EVENTS.name, source=source)
        return Outgoing(DEAD_PLAYER_EVENTS, PLAYER_EVENTS.name, letter)

    async def _deliver(self, messages: list[Outgoing]) -> None:
        try:
            await self._producer.deliver(messages, wait=False)
        except Busy:
            raise too_many("The way to the broker is full; slow down.", 1.0, code="busy") from None


def _check(event: PlayerEvent, session_id: str | None) -> None:
    """What types cannot say. Raises ContractError."""
    if session_id is not None and event.session_id != session_id:
        raise ContractError("foreign_session", "$.session_id", "the token is for another session")
    if event.duration_s is not None and event.position_s > event.duration_s + _POSITION_SLACK_S:
        reason = f"{event.position_s:g} s lies beyond the video's {event.duration_s:g} s"
        raise ContractError("position_beyond_video", "$.position_s", reason)


def _explained(error: Exception) -> ContractError:
    match error:
        case ContractError():
            return error
        case UnicodeDecodeError():
            return ContractError("malformed", "$", f"not UTF-8: {error.reason}")
        case RecursionError():
            return ContractError("malformed", "$", "nested too deeply")
    return explain(error)


def _event_id(raw: msgspec.Raw) -> str | None:
    """The event's id, if that much can be read."""
    try:
        event_id = _decode_name(raw).event_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return event_id[:128] if isinstance(event_id, str) else None
