"""Rates from totals in heartbeats, and how the console writes values."""

from __future__ import annotations

import datetime as dt
import doctest

import pytest

from cuepoint.ops import console_export, console_filters, console_format, console_reasons, console_timeline
from cuepoint.ops.console_asset import CHART_VALUES, chart_columns
from cuepoint.ops.console_filters import ChangeFilters, page_number
from cuepoint.ops.console_rates import Flow, RateBoard
from cuepoint.schemas.trends import AssetDay
from cuepoint.streams.heartbeats import Heartbeat

FLOW = Flow("trends", "in", "topic")


def beat(at_s: float, received: int, worker: str = "w1", started_at: int = 1) -> Heartbeat:
    return Heartbeat(
        role="trends",
        worker=worker,
        state="ready",
        at=int(at_s * 1000),
        started_at=started_at,
        pid=1,
        received={"topic": received},
    )


def test_first_look_has_no_rate_and_the_second_has() -> None:
    board = RateBoard()
    board.observe([beat(0, 100)])
    assert (board.rate(FLOW), board.line(FLOW)) == (0, [])
    board.observe([beat(2, 300)])
    assert (board.rate(FLOW), board.line(FLOW), board.totals[FLOW]) == (100, [100], 300)


def test_workers_add_up_and_a_new_or_restarted_one_makes_no_spike() -> None:
    board = RateBoard()
    board.observe([beat(0, 0), beat(0, 50, "w2")])
    board.observe([beat(1, 10), beat(1, 70, "w2"), beat(1, 9000, "w3")])
    assert board.line(FLOW) == [30]
    board.observe([beat(2, 20), beat(2, 5, "w2", started_at=2), beat(2, 9001, "w3")])
    assert board.line(FLOW) == [30, 11]


def test_worker_that_is_gone_counts_nothing_and_the_series_is_bounded() -> None:
    board = RateBoard(keep=3)
    for number in range(6):
        board.observe([beat(number, 10 * number)])
    board.observe([])
    assert board.line(FLOW) == [10, 10, 0]


@pytest.mark.parametrize("module", [console_export, console_filters, console_format, console_reasons, console_timeline])
def test_examples_of_the_docstrings(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "page"), [("3", 3), ("0", 1), ("-2", 1), ("x", 1), ("", 1), ("\u0663", 1), ("9" * 40, 1)]
)
def test_page_number_of_an_address(text: str, page: int) -> None:
    assert page_number(text) == page


def test_filters_keep_their_address() -> None:
    filters = ChangeFilters(kind="rapid", q="a&b", page=3)
    assert filters.address() == "/changes?kind=rapid&q=a%26b&page=3"
    assert filters.address(page=1) == "/changes?kind=rapid&q=a%26b"
    assert ChangeFilters().address() == "/changes"


def test_days_never_scored_are_gaps_of_the_chart() -> None:
    def day(number: int) -> AssetDay:
        values = dict.fromkeys(CHART_VALUES, 1.0) | {"trend": 0.0, "p_same": 0.5, "p_trend": 0.5}
        return AssetDay(asset_id="a", day=dt.date(2019, 1, number), **values)  # type: ignore[arg-type]

    columns = chart_columns([day(1), day(4)])
    assert [len(column) for column in columns] == [4] * 8
    assert columns[-1] == [1.0, None, None, 1.0]
    assert columns[0][1] - columns[0][0] == 86_400  # type: ignore[operator]
    assert chart_columns([]) == [[]] * 8
