"""``cuepoint rules``: reading a file of rules, or the database's, for people."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cuepoint.models.rule_text import describe_rule
from cuepoint.models.rule_yaml import load_rules
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ConfigurationError, ContractError
from cuepoint.schemas.rules import AdRule

if TYPE_CHECKING:
    from cuepoint.streams.rule_store import RuleStore


def check_rules(file: Path) -> int:
    """How many rules the file holds. Raises ConfigurationError naming file, rule and place."""
    return len(_read(file))


def list_rules(file: Path | None, settings: Settings) -> list[str]:
    """A line for each rule of the file, or of the database (latest versions)."""
    rules = _read(file) if file else _stored(settings)
    return [f"{rule.rule_id} v{rule.version} {rule.status}: {describe_rule(rule)}" for rule in rules]


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
