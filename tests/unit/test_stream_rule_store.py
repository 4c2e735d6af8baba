"""Rule versions in SQL."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from cuepoint.ops.rules_command import republish_rules
from cuepoint.ops.settings import Settings
from cuepoint.schemas.rules import AdRule, AtStart
from cuepoint.streams.database import open_engine, upgrade
from cuepoint.streams.rule_store import RuleConflict, RuleStore


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path}/rules.db")
    upgrade(engine)
    return engine


def rule(rule_id: str = "r", priority: int = 100) -> AdRule:
    return AdRule(rule_id=rule_id, name="rule", insertion=AtStart(), priority=priority)


def test_versions_count_up_and_all_are_kept(engine: Engine) -> None:
    store = RuleStore(engine)
    assert store.put(rule(), 0).version == 1
    assert store.put(rule(priority=5), 1).version == 2
    assert [(each.version, each.priority) for each in store.history("r")] == [(2, 5), (1, 100)]
    assert store.get("r") == store.get("r", 2)
    assert store.get("r", 3) is None
    assert store.get("other") is None
    store.put(rule("first", priority=1), None)
    assert [each.rule_id for each in store.list()] == ["first", "r"]


def test_who_saw_an_older_version_is_told(engine: Engine) -> None:
    store = RuleStore(engine)
    store.put(rule(), 0)
    for seen in (0, 2):
        with pytest.raises(RuleConflict) as caught:
            store.put(rule(), seen)
        assert caught.value.current == 1
    assert store.put(rule(), None).version == 2


def test_one_of_many_at_once_wins(engine: Engine) -> None:
    store, won = RuleStore(engine), []

    def one() -> None:
        with suppress(RuleConflict):
            won.append(store.put(rule(), 0))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == len(store.history("r")) == 1


def test_retiring_is_a_version_too(engine: Engine) -> None:
    store = RuleStore(engine)
    store.put(rule(), 0)
    retired = store.retire("r", 1, effective_at=77)
    assert (retired.status, retired.version, retired.effective_at) == ("retired", 2, 77)
    assert store.list("active") == []
    with pytest.raises(KeyError):
        store.retire("unknown", None, 0)


def test_what_is_not_published_is_known(engine: Engine) -> None:
    store = RuleStore(engine)
    first, second = store.put(rule(), 0), store.put(rule(), 1)
    assert store.unpublished() == [first, second]
    store.mark_published(first)
    assert store.unpublished() == [second]
    store.mark_published(second)
    store.republish()
    assert store.unpublished() == [first, second]


def test_rules_of_a_lost_log_are_published_anew(engine: Engine, tmp_path: Path) -> None:
    store = RuleStore(engine)
    store.mark_published(store.put(rule(), 0))
    assert store.unpublished() == []
    assert republish_rules(Settings(database_url=SecretStr(f"sqlite:///{tmp_path}/rules.db"))) == 1
    assert [waiting.rule_id for waiting in store.unpublished()] == ["r"]
