"""What changes behind the console appears without a reload, and only when it should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_overview_shows_new_rates(open_page: Callable[..., Any], console: Any) -> None:
    page = open_page("/").page
    page.evaluate("window.stayed = true")
    console.beat(1000, at=10_000, live_sessions=12)
    expect(page.locator("#live-sessions")).to_have_text("12")
    for beat in range(1, 40):
        console.beat(1000 + beat * 500, at=10_000 + beat * 1000, live_sessions=34)
        page.wait_for_timeout(100)
        if page.locator("#events-rate").inner_text() == "500":
            break
    expect(page.locator("#live-sessions")).to_have_text("34")
    expect(page.locator("#events-rate")).to_have_text("500")
    assert page.evaluate("window.stayed")


def test_session_grows_while_it_is_watched(open_page: Callable[..., Any], console: Any) -> None:
    console.play("live-1", "session_started", "video_started", "progressed")
    page = open_page("/sessions/live-1").page
    expect(page.locator("#decision-count")).to_have_text("1")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    bars = page.locator(".timeline .bar").count()
    console.play("live-1", "paused", "resumed", start=3)
    expect(page.locator("#decision-count")).to_have_text("2")
    expect(page.locator("#decision-4")).to_contain_text("session length s 61.5")
    assert page.locator(".timeline .bar").count() > bars


def test_session_says_which_rule_fired_and_why(open_page: Callable[..., Any]) -> None:
    page = open_page("/sessions/ended-1").page
    first = page.locator("#decision-1")
    expect(first).to_contain_text("60 s of the session passed")
    expect(first).to_contain_text("registered yes")
    expect(first.locator(".rule-line")).to_contain_text("every 60 s")
    titles = page.locator(".timeline title").all_text_contents()
    assert any(title.startswith("Seek 0:01 to 0:08") for title in titles)
    assert any(title.startswith("Paused, pause, from 0:04, for 0:02") for title in titles)


def test_paused_page_stands_still(open_page: Callable[..., Any], console: Any) -> None:
    console.play("live-2", "session_started", "video_started")
    page = open_page("/sessions/live-2").page
    page.locator("#live-toggle").click()
    expect(page.locator("#live-toggle")).to_have_attribute("aria-pressed", "true")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    console.play("live-2", "paused", start=2)
    page.wait_for_timeout(700)  # more than two refreshes
    assert asked == []
    page.locator("#live-toggle").click()
    expect(page.locator("#decision-count")).to_have_text("2")


def test_list_of_changes_offers_new_ones(open_page: Callable[..., Any], console: Any) -> None:
    from console_rows import change

    from cuepoint.schemas.topics import CHANGES

    page = open_page("/changes").page
    console.record(CHANGES, change(200, "late-asset"))
    page.get_by_role("link", name="1 new change: show").click()
    expect(page.locator("#row-change-200")).to_be_visible()


def test_focus_survives_a_refresh(open_page: Callable[..., Any], console: Any) -> None:
    page = open_page("/sessions").page
    page.keyboard.press("j")
    name = page.evaluate("document.activeElement.id")
    assert name.startswith("row-")
    console.play("live-3", "session_started", "video_started")
    expect(page.locator("#row-live-3")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == name
