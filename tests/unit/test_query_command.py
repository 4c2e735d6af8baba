"""`cuepoint query`: what is printed, and what a caller's own SQL cannot reach."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from consumption_feed import DAY, Feed, cell, report

from cuepoint.ops.cli import main
from cuepoint.streams.consumption_sandbox import QueryRefused, ask
from cuepoint.streams.consumption_store import TooSlow


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Feed:
    feed = Feed(tmp_path_factory.mktemp("store"))
    cells = [cell("a", 1000, context="playlist", consumers=9), cell("b", 4, container_name='Hits, "new"')]
    feed.send(report(cells) + report([cell("a", 1)], dsp="dsp2")[:-1])
    feed.run()
    (feed.root.parent / "secret.csv").write_text("secret\n1\n")
    return feed


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Query = Callable[..., Done]


@pytest.fixture
def query(feed: Feed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Query:
    """The command in this process: starting one takes longer than all it does."""

    def run(*arguments: str, **environment: str) -> Done:
        places = {
            "CUEPOINT_DATABASE_URL": f"sqlite:///{feed.root.parent}/catalogue.db",
            "CUEPOINT_CONSUMPTION_DIR": str(feed.root),
        }
        for name, value in (places | environment).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["cuepoint", "query", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, out, err)

    return run


def test_the_three_forms_say_the_same(query: Query) -> None:
    table = query("--by", "asset_id,container_name")
    assert table.returncode == 0, table.stderr
    assert "1,000" in table.stdout
    assert 'Hits, "new"' in table.stdout
    lines = query("--by", "asset_id,day", "--format", "csv", "--where", "context=playlist").stdout
    assert lines == "asset_id,day,count,consumers,played_seconds,completed\na,2026-03-02,1000,9,0,\n"
    rows = query("--format", "json", "--asset", "b", "--since", "2026-03-02", "--until", "2026-03-02").stdout
    assert json.loads(rows) == {
        "day": "2026-03-02",
        "count": 4,
        "consumers": None,
        "played_seconds": 0,
        "completed": None,
    }
    cut = query("--by", "asset_id", "--format", "csv", CUEPOINT_QUERY_ROWS="1")
    assert cut.stdout.count("\n") == 2
    assert "only the first 1 rows" in cut.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "day,pets"], "pets is no dimension"),
        (["--where", "count=3"], "--where takes NAME=VALUE"),
        (["--format", "xml"], "--format takes table, csv, json"),
        (["--sql", "SELECT nothing FROM consumption"], "nothing"),
        (["--sql", "DELETE FROM reports"], "one SELECT"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_sentence(query: Query, arguments: list[str], said: str) -> None:
    done = query(*arguments)
    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_sql_sees_what_is_visible(feed: Feed) -> None:
    answer = ask(feed.store, "SELECT asset_id, sum(count)::BIGINT AS n FROM consumption GROUP BY ALL ORDER BY 1", 10)
    assert (answer.columns, answer.rows, answer.more) == (["asset_id", "n"], [("a", 1000), ("b", 4)], False)
    assert ask(feed.store, "SELECT dsp, day, rows, complete FROM reports", 10).rows == [("dsp1", DAY, 2, True)]
    assert ask(feed.store, "SELECT * FROM range(10)", 3) == (["range"], [(0,), (1,), (2,)], True)


def test_sql_over_an_empty_store(tmp_path: Path) -> None:
    empty = Feed(tmp_path)
    assert ask(empty.store, "SELECT count(*) FROM consumption", 1).rows == [(0,)]


def escapes(folder: Path) -> list[str]:
    secret = folder / "secret.csv"
    return [
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM read_text('{secret}')",
        f"SELECT * FROM '{secret}'",
        f"SELECT * FROM glob('{folder}/*')",
        f"SELECT * FROM read_parquet('{folder}/consumption/../secret.csv')",
        f"SELECT * FROM sqlite_scan('{folder}/catalogue.db', 'rules')",
        "SELECT * FROM read_csv('https://127.0.0.1/x.csv')",
        f"COPY (SELECT 1) TO '{folder}/out.csv'",
        f"ATTACH '{folder}/catalogue.db'",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA enable_external_access",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1; DROP VIEW consumption",
        "WITH gone AS (DELETE FROM reports RETURNING *) SELECT * FROM gone",
        "",
    ]


def test_sql_reaches_nothing_but_the_store(feed: Feed) -> None:
    before = sorted(path.name for path in feed.root.parent.iterdir())
    for sql in escapes(feed.root.parent):
        with pytest.raises(QueryRefused):
            ask(feed.store, sql, 10)
    feed_local: Any = {"secret": [1]}
    with pytest.raises(QueryRefused):  # not even a variable of this process
        ask(feed.store, "SELECT * FROM feed_local", 10)
    assert feed_local
    assert sorted(path.name for path in feed.root.parent.iterdir()) == before


def test_sql_that_takes_too_long_or_too_much_is_given_up(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed.store, "timeout_s", 0.1)
    with pytest.raises(TooSlow, match="longer"):
        ask(feed.store, "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b", 10)
    monkeypatch.setattr(feed.store, "timeout_s", 20.0)
    monkeypatch.setattr(feed.store, "memory_bytes", 64 << 20)
    with pytest.raises(TooSlow, match="memory"):
        ask(feed.store, "SELECT string_agg(range::VARCHAR, repeat('x', 1000)) FROM range(10000000)", 10)
