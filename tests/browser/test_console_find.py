"""Changes are found by what they are; the address holds it all; what is found leaves as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("opportunity=expand&kind=rapid", ["change-1"]),
        ("owner=Blue+Label&status=closed", ["change-1"]),
        ("percent=400&origin=simulated", ["change-62"]),
        ("q=want+singer&streams=20000", ["change-1"]),
        ("percent=30&direction=down&q=script", ["change-0"]),
        ("percent=many&opportunity=sustain", []),
    ],
)
def test_filters_find(open_page: Callable[..., Any], query: str, found: list[str]) -> None:
    page = open_page(f"/changes?{query}").page
    expect(page.locator("h1")).to_have_text("Changes")
    rows = [link.get_attribute("id") for link in page.locator("[data-list] .row-link").all()]
    assert rows == [f"row-{name}" for name in found]


def test_filters_are_typed_shared_and_exported(open_page: Callable[..., Any], console: Any) -> None:
    page = open_page("/changes").page
    page.locator("#f-percent").fill("100%")
    page.select_option("#f-order", "largest")
    page.wait_for_url(re.compile(r"/changes\?order=largest&percent=100%25$"))
    assert page.locator("[data-list] .row-link").first.get_attribute("id") == "row-change-62"
    expect(page.locator("tbody tr").first).to_contain_text("Simulated")
    shared = page.get_by_role("link", name="Link to this list").evaluate("link => link.href")
    assert shared == console.url + "/changes?order=largest&percent=100"
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    assert len(rows) == int(page.locator("#total").inner_text())
    assert (rows[0]["asset_id"], rows[0]["simulated"], float(rows[0]["size_percent"])) == ("sim-7", "yes", 500.0)
    one = next(row for row in rows if row["change_id"] == "change-1")
    assert (one["likeliest_cause"], one["campaign_goal"]) == ("the playlist or station Hot Hits", "expand")


def test_exported_text_is_no_formula(open_page: Callable[..., Any], console: Any) -> None:
    page = open_page("/changes?q=script").page
    text = page.request.get(console.url + "/changes.csv?q=script").body().decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["owner"] == "'=1+1"
    assert row["title"].startswith("<script>")
    assert float(row["size_percent"]) == -35.0
