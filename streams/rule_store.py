"""Rules in SQL: every version is kept; the topic is published from here."""

from __future__ import annotations

import builtins

import msgspec
from sqlalchemy import Connection, Engine, func, select, update

from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import CuepointError
from cuepoint.schemas.rules import AdRule
from cuepoint.streams.database import insert, reading, writing
from cuepoint.streams.tables import RULES

_rule = msgspec.json.Decoder(AdRule).decode


class RuleConflict(CuepointError):
    """Somebody else changed the rule first; ``current`` is its version now (0: there is none)."""

    def __init__(self, rule_id: str, current: int) -> None:
        super().__init__(f"rule {rule_id} is at version {current} now")
        self.current = current


class RuleStore:
    """All methods raise Unavailable when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self, status: str | None = None) -> list[AdRule]:
        """The newest version of each rule, by priority and id; with ``status``, those of that status."""
        newest = (
            select(RULES.c.rule_id, func.max(RULES.c.version).label("version")).group_by(RULES.c.rule_id).subquery()
        )
        rows = select(RULES.c.body).join(
            newest, (newest.c.rule_id == RULES.c.rule_id) & (newest.c.version == RULES.c.version)
        )
        if status is not None:
            rows = rows.where(RULES.c.status == status)
        with reading(self._engine) as connection:
            found = [_rule(body) for body in connection.scalars(rows)]
        return sorted(found, key=lambda rule: (rule.priority, rule.rule_id))

    def get(self, rule_id: str, version: int | None = None) -> AdRule | None:
        """The newest version, or the one asked for."""
        with reading(self._engine) as connection:
            return _get(connection, rule_id, version)

    def history(self, rule_id: str) -> builtins.list[AdRule]:
        """All versions, newest first."""
        rows = select(RULES.c.body).where(RULES.c.rule_id == rule_id).order_by(RULES.c.version.desc())
        with reading(self._engine) as connection:
            return [_rule(body) for body in connection.scalars(rows)]

    def put(self, rule: AdRule, expected_version: int | None) -> AdRule:
        """Store ``rule`` as the next version, which is returned.

        ``expected_version`` is the version the caller saw (0: none, the rule must be new; None: whatever is there).
        Raises RuleConflict when another is there.
        """
        with writing(self._engine) as connection:
            return _put(connection, rule, expected_version)

    def retire(self, rule_id: str, expected_version: int | None, effective_at: int) -> AdRule:
        """Store a version that is retired from ``effective_at`` (ms) on. Raises RuleConflict, or KeyError."""
        with writing(self._engine) as connection:
            rule = _get(connection, rule_id, None)
            if rule is None:
                raise KeyError(rule_id)
            retired = msgspec.structs.replace(rule, status="retired", effective_at=effective_at)
            return _put(connection, retired, expected_version)

    def unpublished(self) -> builtins.list[AdRule]:
        """Versions not known to be on the topic, in the order they were stored per rule."""
        rows = select(RULES.c.body).where(RULES.c.published.is_(False)).order_by(RULES.c.rule_id, RULES.c.version)
        with reading(self._engine) as connection:
            return [_rule(body) for body in connection.scalars(rows)]

    def mark_published(self, rule: AdRule) -> None:
        """The broker has acknowledged this version."""
        row = (RULES.c.rule_id == rule.rule_id) & (RULES.c.version == rule.version)
        with writing(self._engine) as connection:
            connection.execute(update(RULES).where(row).values(published=True))

    def republish(self) -> None:
        """Take all versions for unpublished: the broker lost its log."""
        with writing(self._engine) as connection:
            connection.execute(update(RULES).values(published=False))


def _get(connection: Connection, rule_id: str, version: int | None) -> AdRule | None:
    rows = select(RULES.c.body).where(RULES.c.rule_id == rule_id).order_by(RULES.c.version.desc()).limit(1)
    body = connection.scalar(rows if version is None else rows.where(RULES.c.version == version))
    return None if body is None else _rule(body)


def _put(connection: Connection, rule: AdRule, expected_version: int | None) -> AdRule:
    current = connection.scalar(select(func.max(RULES.c.version)).where(RULES.c.rule_id == rule.rule_id)) or 0
    if expected_version is not None and expected_version != current:
        raise RuleConflict(rule.rule_id, current)
    stored = msgspec.structs.replace(rule, version=current + 1)
    row = {
        "rule_id": stored.rule_id,
        "version": stored.version,
        "status": stored.status,
        "published": False,
        "body": encode(stored),
    }
    result = connection.execute(insert(connection, RULES).values(row).on_conflict_do_nothing())
    if result.rowcount == 0:  # PostgreSQL: another transaction was faster
        raise RuleConflict(rule.rule_id, stored.version)
    return stored
