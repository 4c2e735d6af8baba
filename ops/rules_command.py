"""``cuepoint rules``: reading a file of rules, or the database's, for people."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from cuepoint.models.rule_preview import Viewing, as_tried, events_of
from cuepoint.models.rule_shadow import warnings_of
from cuepoint.models.rule_text import describe_rule
from cuepoint.models.rule_trial import Trial, explain
from cuepoint.models.rule_yaml import load_rules
from cuepoint.ops.settings import Settings
from cuepoint.schemas.codec import decoder
from cuepoint.schemas.codec import explain as describe_error
from cuepoint.schemas.errors import ConfigurationError, ContractError
from cuepoint.schemas.playback import PlayerEvent
from cuepoint.schemas.rules import AdRule

if TYPE_CHECKING:
    from cuepoint.streams.rule_store import RuleStore

_BAR = 60
_decode_event = decoder(PlayerEvent).decode


def check_rules(file: Path) -> int:
    """How many rules the file holds. Raises ConfigurationError naming file, rule and place."""
    return len(_read(file))


def warnings_in(file: Path) -> list[str]:
    """A line for each rule that others of the file keep from ever being reached, were all of the file active."""
    rules = [replace(rule, status="active") for rule in _read(file) if rule.status != "retired"]
    found = [(rule, field, reason) for rule in rules for field, reason in warnings_of(rule, rules)]
    return [f"{rule.rule_id}: {field} {reason}" for rule, field, reason in found]


def list_rules(file: Path | None, settings: Settings) -> list[str]:
    """A line for each rule of the file, or of the database (latest versions)."""
    rules = _read(file) if file else _stored(settings)
    return [f"{rule.rule_id} v{rule.version} {rule.status}: {describe_rule(rule)}" for rule in rules]


def preview_rules(file: Path, viewing: Viewing, rule_id: str | None) -> list[str]:
    """What the file's rules (or one of them) insert into the viewing, a line each, under a timeline."""
    rules = [as_tried(rule) for rule in _read(file) if rule_id in (None, rule.rule_id)]
    if not rules:
        raise ConfigurationError(f"{file} has no rule {rule_id}")
    trial = explain(rules, events_of(viewing))
    return [*timeline(trial, viewing), *outcome_lines(trial, only_decided=True)]


def read_viewing(text: str) -> Viewing:
    """Words ``name=value``, apart by blanks; lists are apart by commas. Raises ConfigurationError naming the field."""
    given: dict[str, object] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        given[name] = value.split(",") if name == "cue_points_s" else value
    try:
        return msgspec.convert(given, Viewing, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"--viewing: {error}") from None


def explain_session(events: Path, file: Path | None, rule_id: str | None, settings: Settings) -> list[str]:
    """Every decision and every non-decision of a recorded session (JSON lines of player events), a line each."""
    rules = [rule for rule in (_read(file) if file else _stored(settings)) if rule_id in (None, rule.rule_id)]
    if file is not None:
        rules = [replace(rule, effective_at=0) for rule in rules]
    return outcome_lines(explain(rules, _recorded(events)))


def timeline(trial: Trial, viewing: Viewing) -> list[str]:
    """A bar for each video, a mark where an ad stands: | full frame, ^ over or beside the picture."""
    lines: list[str] = []
    for number in range(1, viewing.videos + 1):
        name = viewing.video_id if viewing.videos == 1 else f"{viewing.video_id}-{number}"
        bar = ["-"] * _BAR
        for decision in trial.decisions:
            if decision.video_id == name:
                place = min(_BAR - 1, int(decision.position_s / viewing.length_s * _BAR))
                bar[place] = "|" if decision.format.screen == "full" else "^"
        lines.append(f"{name}  0 {''.join(bar)} {viewing.length_s:g} s")
    return lines


def outcome_lines(trial: Trial, *, only_decided: bool = False) -> list[str]:
    """A line for each occasion; then for each rule without one."""
    lines = [
        f"{found.video_position_s:8.1f} s  {found.rule_id} v{found.rule_version}  {found.outcome}: {found.why}"
        f" ({found.occasion})" + (f", {found.duration_s:g} s" if found.duration_s is not None else "")
        for found in trial.occasions
        if found.outcome == "decided" or not only_decided
    ]
    lines += [f"refused event {one.place + 1}: {one.field}: {one.reason}" for one in trial.refused]
    held = {found.rule_id: found for found in trial.occasions} if only_decided else {}
    decided = {decision.rule_id for decision in trial.decisions}
    lines += [f"{rule_id}: nothing, {found.why}" for rule_id, found in held.items() if rule_id not in decided]
    return lines + [f"{rule_id}: nothing, {why}" for rule_id, why in trial.idle.items()]


def _recorded(file: Path) -> list[PlayerEvent]:
    events: list[PlayerEvent] = []
    try:
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            if line.strip():
                events.append(_event(file, number, line))
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from None
    if not events:
        raise ConfigurationError(f"{file} has no events")
    return events


def _event(file: Path, number: int, line: bytes) -> PlayerEvent:
    try:
        event: PlayerEvent = _decode_event(line)
        return event
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        found = describe_error(error)
        raise ConfigurationError(f"{file}: line {number}: {found.field}: {found.reason}") from None


def _read(file: Path) -> list[AdRule]:
    try:
        return load_rules(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from None
    except (ContractError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: {error}") from None


def republish_rules(settings: Settings) -> int:
    """How many versions the API will publish anew: for a broker that lost its log, or a new one."""
    with _store(settings) as store:
        store.republish()
        return len(store.unpublished())


def _stored(settings: Settings) -> list[AdRule]:
    with _store(settings) as store:
        return store.list()


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[RuleStore]:
    from cuepoint.streams.database import open_engine, upgrade
    from cuepoint.streams.rule_store import RuleStore

    engine = open_engine(settings.database_url.get_secret_value(), settings.sqlite_busy_s)
    try:
        upgrade(engine)
        yield RuleStore(engine)
    finally:
        engine.dispose()
