"""Reports, quarantine, consumption and line items: what came, what waits, what was listened to, what was delivered."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_reports_show_what_is_missing_revised_and_taken_back(open_page: Callable[..., Any]) -> None:
    page = open_page("/reports").page
    rows = page.locator(".report-grid tbody tr")
    expect(rows).to_have_count(3)
    aurora = rows.filter(has_text="aurora").locator("td")
    states = aurora.evaluate_all("cells => cells.map(cell => cell.innerText.trim().split('\\n').at(-1))")
    assert states[-10:] == [
        *("came", "came", "came", "came", "revised", "came", "missing", "came", "came", "missing"),
    ]
    expect(rows.filter(has_text="brook").locator(".cell.withdrawn")).to_have_count(1)
    expect(page.get_by_role("listitem").filter(has_text="withdrawn")).to_contain_text("1")
    page.select_option("#f-gaps", "yes")
    page.wait_for_url("**/reports?gaps=yes")
    expect(page.locator(".report-grid")).to_contain_text("aurora")


def test_quarantine_counts_and_gives_a_file_to_fill_in(open_page: Callable[..., Any]) -> None:
    page = open_page("/quarantine").page
    expect(page.get_by_text("cuepoint ingest-assets quarantine.csv")).to_be_visible()
    services = page.locator("section[aria-labelledby=services-title] tbody tr")
    assert [row.split("\t")[:5] for row in services.all_inner_texts()] == [
        ["aurora", "1", "2", "4,090", "1"],
        ["brook", "1", "1", "3", "1"],
    ]
    page.get_by_role("link", name="aurora", exact=True).click()
    page.wait_for_url("**/quarantine?dsp=aurora")
    expect(page.locator(".ids")).to_have_text("isrc:USUM71900764 aurora:7")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as metadata").click()
    (row,) = csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig")))
    assert (row["isrc"], row["identifiers"]) == ("USUM71900764", "isrc:USUM71900764 aurora:7")
    assert (row["asset_id"], row["waiting_streams"]) == ("", "4090")


def test_consumption_of_an_asset_by_any_dimension(open_page: Callable[..., Any]) -> None:
    page = open_page("/assets?q=want").page
    page.get_by_role("link", name="Consumption of All I Want").click()
    page.wait_for_url("**/consumption/song-1")
    page.get_by_role("link", name="Playlist or station").click()
    assert page.locator("thead th").nth(1).inner_text().startswith("<script>window.harmed=1</script><img")
    page.get_by_role("link", name="Context").click()
    page.wait_for_url("**/consumption/song-1?by=context&days=28")
    assert page.locator("thead th").all_inner_texts() == ["Day (UTC)", "playlist", "library", "All"]
    newest = page.locator("tbody tr").nth(1).locator("td").all_inner_texts()
    assert newest == ["9 Feb 2019", "2,180", "600", "2,780"]
    page.get_by_role("link", name="3 months").click()
    expect(page.locator("tbody tr")).to_have_count(41)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    assert (len(rows), rows[0]) == (40, {"day": "2019-02-09", "playlist": "2180", "library": "600"})


def test_line_items_tell_what_was_delivered_and_what_became_of_it(open_page: Callable[..., Any]) -> None:
    page = open_page("/line-items").page
    cells = page.locator("tbody tr").locator("td").all_inner_texts()
    assert [cell.split("\n")[0] for cell in cells[2:]] == ["always", "Active", "2", "8", "8"]
    page.get_by_role("link", name="Toys in December").click()
    page.wait_for_url("**/line-items/toys")
    expect(page.get_by_text("2 impressions of 8 (25.0 %), at most 8 by now")).to_be_visible()
    days = page.locator("section[aria-labelledby=days-title] tbody tr").all_inner_texts()
    assert [day.split("\t") for day in days] == [
        ["21 Nov 2026", "1", "0", "1", "0", "0"],
        ["20 Nov 2026", "1", "1", "0", "0", "0"],
    ]
    page.go_back()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export days as CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    assert [(row["line_item_id"], row["day"], row["impression"], row["skip"]) for row in rows] == [
        ("toys", "2026-11-20", "1", "0"), ("toys", "2026-11-21", "1", "1"),
    ]  # fmt: skip
