"""Bodies of the HTTP API that are not messages of a topic; OpenAPI is generated from them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cuepoint.models.webhook_filter import AlertFilter
from cuepoint.schemas.base import Text
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.rules import AdRule


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """Where (a JSON path, parameter or header), and why."""

    field: str
    reason: str


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"kind": "type"}):
    """RFC 9457 problem details."""

    kind: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[FieldError] = []


class EventsBody(msgspec.Struct, frozen=True, kw_only=True):
    """What players send. ``received_at`` is the collector's, and is overwritten."""

    events: list[PlayerEvent]


class EventError(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was refused (it stands in the dead-letter topic); the others of the body were taken."""

    index: int
    event_id: str | None
    code: str
    field: str
    reason: str


class EventsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``tokens``: by session, for EventSource and sendBeacon, which cannot send a key; only if a key was sent."""

    accepted: int
    errors: list[EventError]
    tokens: dict[str, str] = {}


class DeliveryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Of a line item; ``allowed``: by its pacing until now, null where it has no goal; ``days``: what the history has,
    events by kind and UTC day."""

    impressions: int
    served: int
    allowed: int | None
    goal: int | None
    days: dict[str, dict[str, int]]


class RefusedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was refused; the others were taken."""

    line: int
    code: str
    field: str
    reason: str


class ImportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    created: int
    changed: int
    unchanged: int
    errors: list[RefusedLine]


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subscription. ``filter`` says which changes; none: all. A disabled one is sent nothing."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    description: Text = ""
    filter: AlertFilter = AlertFilter()
    status: Literal["active", "disabled"] = "active"


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """``secret`` only in the answer that made it: it cannot be read again."""

    webhook_id: str
    url: str
    description: str
    filter: AlertFilter
    status: str
    created_at: int
    secret: str | msgspec.UnsetType = msgspec.UNSET


class WebhookList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[WebhookView]


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """``event_id`` is what the receiver sees as webhook-id; ``next_at`` is when it is tried (again)."""

    event_id: str
    status: Literal["waiting", "delivered", "dead", "superseded"]
    attempts: int
    next_at: int
    created_at: int
    ended_at: int | None
    reason: str
    body: msgspec.Raw


class WebhookDeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[WebhookDelivery]
    total: int
    next: str | None


class WebhookQueued(msgspec.Struct, frozen=True, kw_only=True):
    """How many events are on their way (again); of a ping its id."""

    queued: int
    event_id: str | msgspec.UnsetType = msgspec.UNSET


class DecisionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions after the number asked for; ``last`` is what to ask for next."""

    decisions: list[AdDecision]
    last: int


class RuleWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a rule that other rules keep from ever being reached."""

    field: str
    reason: str


class RuleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A stored rule version; ``published``: whether the session workers have been told."""

    rule: AdRule
    text: str
    published: bool
    warnings: list[RuleWarning]


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and its one readable line."""

    rule: AdRule
    text: str


class RuleList(msgspec.Struct, frozen=True, kw_only=True):
    rules: list[RuleView]


class RuleCheckAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The rule as it was read, defaults filled in, and its readable line."""

    valid: Literal[True] = True
    rule: AdRule
    text: str
    warnings: list[RuleWarning]


class PartHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One part the API needs."""

    state: Literal["up", "down"]
    latency_ms: float
    detail: str = ""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """``parts``: broker, redis, database."""

    ready: bool
    parts: dict[str, PartHealth]


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["alive"] = "alive"


class ViewerHistory(msgspec.Struct, frozen=True, kw_only=True):
    """``sums`` over the viewer's ended sessions; ``told``: what the next session begins with."""

    viewer: str
    sums: dict[str, float]
    told: dict[str, float]
    kept_days: int


class Remaining(msgspec.Struct, frozen=True, kw_only=True):
    """Where the pseudonym stands until that ends by itself."""

    place: str
    until: str


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. It names nobody: file it as it is. ``at``: ms since 1970; ``held_off_s``: for so long, what
    sessions still open would add is dropped."""

    viewer: str
    at: int
    counters: int
    keys: int
    sessions: int
    events: int
    held_off_s: int
    remains: list[Remaining]
