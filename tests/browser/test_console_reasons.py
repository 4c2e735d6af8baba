"""The page of a change says why it came about, and whether it is worth a campaign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def number(text: str) -> float:
    return float(text.replace(",", "").replace("\N{MINUS SIGN}", "-").rstrip("%"))


def test_waterfall_sums_to_the_change_and_its_address_holds_the_split(open_page: Callable[..., Any]) -> None:
    page = open_page("/changes/change-1").page
    why = page.locator("#why")
    expect(why).to_contain_text("Most likely: the playlist or station Hot Hits (93.0%)")
    cells = why.locator("tbody tr").evaluate_all("rows => rows.map(row => [...row.cells].map(c => c.textContent))")
    labels = ["Hot Hits", "Rainy days", "Explained by the market", "Unexplained", "The change"]
    assert [row[0] for row in cells] == labels
    effects = [number(row[2]) for row in cells]
    shares = [number(row[4]) for row in cells]
    assert sum(effects[:-1]) == effects[-1] == 20_000
    assert sum(shares[:-1]) == shares[-1] == 100
    assert cells[0][3] == "+14,400 to +15,600"
    why.get_by_role("link", name="Service").click()
    page.wait_for_url("**/assets/song-1?change=change-1&by=dsp#why")
    expect(page.locator("#why tbody th").first).to_have_text("aurora")


def test_verdict_has_goal_probability_reasons_and_growth(open_page: Callable[..., Any]) -> None:
    page = open_page("/assets/song-1").page
    verdict = page.locator("#opportunity")
    for text in ("Opportunity", "81.0%", "Expand", "+1.12", "6.1%", "3.2 to 10.1%", "64% of this is learnt"):
        expect(verdict).to_contain_text(text)
    assert open_page("/assets/other-2").page.locator("#opportunity").count() == 0
    expect(open_page("/assets/other-2").page.get_by_text("Not explained yet")).to_be_visible()
