"""The chart of an asset is drawn, and its table has the same numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
INK = """() => {
  const canvas = document.querySelector('[data-chart] canvas');
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set();
  for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 3] > 200) seen.add(pixels.slice(at, at + 3).join());
  return [...seen];
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_chart_is_drawn_in_the_colours_of_the_theme(open_page: Callable[..., Any], theme: str) -> None:
    page = open_page("/assets/song-1", theme).page
    expect(page.locator("[data-chart]")).to_have_attribute("data-drawn", "yes")
    level = {"light": "58,75,209", "dark": "154,168,255"}
    other = "light" if theme == "dark" else "dark"
    page.wait_for_function(f"({INK})().includes('{level[theme]}')")
    for _ in range(["light", "dark"].index(other) + 1):
        page.locator("#theme-toggle").click()
    page.wait_for_function(f"({INK})().includes('{level[other]}')")


def test_table_has_the_numbers_of_the_chart(open_page: Callable[..., Any], console: Any) -> None:
    page = open_page("/assets/song-1").page
    page.locator("#days summary").click()
    expect(page.locator("tr[data-day]")).to_have_count(120)
    rows = page.eval_on_selector_all("tr[data-day]", "rows => rows.map(row => [...row.cells].map(c => c.textContent))")
    data = page.request.get(console.url + "/console/data/assets/song-1").json()
    assert len(data["columns"][0]) == 120 + 28  # the forecast stands behind the days
    days, low95, high95, low80, high80, mean, level, count = (column[:120] for column in data["columns"])
    expected = []
    for at in reversed(range(len(days))):
        day = dt.datetime.fromtimestamp(days[at], dt.UTC)
        numbers = (level[at], mean[at], low80[at], high80[at], low95[at], high95[at])
        shown = "no data" if count[at] is None else f"{count[at]:,.0f}"
        expected.append([f"{day.day} {day:%b %Y}", shown, *(f"{number:,.0f}" for number in numbers)])
    assert [row[:8] for row in rows] == expected
    assert expected[79][1] == "no data"


def _point_left_until(page: Page, day: str) -> None:
    """Move over the chart's left end; again where a move was lost because the chart was just drawn anew."""
    for _ in range(60):
        page.locator(".u-over").hover(position={"x": 2, "y": 40})
        page.locator(".u-over").hover(position={"x": 1, "y": 50})
        try:
            expect(page.locator("[data-value=day]")).to_have_text(day, timeout=1_000)
            return
        except AssertionError:
            continue
    expect(page.locator("[data-value=day]")).to_have_text(day)


def test_cursor_shows_the_values_of_its_day(open_page: Callable[..., Any]) -> None:
    page = open_page("/assets/song-1").page
    expect(page.locator("[data-value=day]")).to_have_text("Tue, 30 Apr 2019")
    _point_left_until(page, "Tue, 1 Jan 2019")
    expect(page.locator("[data-value=level]")).to_have_text("10,100")


def test_region_is_in_data_and_list_and_zooms(open_page: Callable[..., Any], console: Any) -> None:
    page = open_page("/changes/change-1").page
    assert page.url.endswith("/assets/song-1?change=change-1")
    region = page.request.get(console.url + "/console/data/assets/song-1?change=change-1").json()["regions"][0]
    days = [dt.datetime.fromtimestamp(region[key], dt.UTC).date().isoformat() for key in ("start", "end")]
    assert (days, region["kind"], region["direction"]) == (["2019-03-03", "2019-03-31"], "rapid", "up")
    assert region["selected"]
    page.get_by_role("button", name="Show the change from 2019-03-03").click()
    _point_left_until(page, "Sun, 10 Feb 2019")
    page.locator("[data-zoom-days='0']").click()
    _point_left_until(page, "Tue, 1 Jan 2019")


def test_forecast_is_a_fan_behind_the_last_day_and_a_table(open_page: Callable[..., Any], console: Any) -> None:
    page = open_page("/assets/song-1").page
    data = page.request.get(console.url + "/console/data/assets/song-1").json()
    days, low95, high95, low80, high80, median, level, count = (column[120:] for column in data["columns"])
    assert days[0] == data["origin"] + 86_400
    assert level == count == [None] * 28
    for bounds in zip(low95, low80, median, high80, high95, strict=True):
        assert list(bounds) == sorted(bounds)
    assert 5_000 < median[0] < 15_000
    assert high95[-1] - low95[-1] > high95[0] - low95[0]
    box = page.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 50)
    expect(page.locator("[data-value=day]")).to_have_text("Tue, 28 May 2019, to come")
    page.locator("#forecast summary").click()
    expect(page.locator("tr[data-coming]")).to_have_count(28)
    assert page.locator("tr[data-coming] td").nth(1).inner_text() == f"{median[0]:,.0f}"
