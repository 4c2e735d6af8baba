"""Every page renders in a real browser, in both themes, without violations, complaints or requests to elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
PAGES = (
    "/",
    "/changes",
    "/changes?kind=rapid&q=nothing-like-this",
    "/assets/song-1",
    "/assets/evil",
    "/assets",
    "/consumption/song-1",
    "/reports",
    "/quarantine",
    "/sessions",
    "/sessions/ended-1",
    "/rules",
    "/rules/paced",
    "/line-items",
    "/line-items/toys",
    "/dead-letters",
    "/login",
)


def violations(page: Any) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']][:4]}" for one in found]


@pytest.mark.parametrize("path", PAGES)
def test_page_is_sound(open_page: Callable[..., Any], path: str) -> None:
    """No accessibility violation in either theme, hostile text inert, nothing wider than a narrow screen."""
    page = open_page(path, "light").page
    expect(page.locator("h1")).to_be_visible()
    for details in page.locator("details").all():
        if details.get_attribute("open") is None:
            details.locator("summary").click()
    if page.locator("[data-chart]").count():
        expect(page.locator("[data-chart]")).to_have_attribute("data-drawn", "yes")
        expect(page.locator("tr[data-day]").first).to_be_visible()
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    assert page.evaluate("window.harmed") is None
    assert page.locator("img").count() == 0
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_hostile_title_is_shown_as_text(open_page: Callable[..., Any]) -> None:
    page = open_page("/assets/evil").page
    expect(page.locator("h1")).to_contain_text("<script>window.harmed=1</script>")


def test_unknown_page_and_asset_say_so(open_page: Callable[..., Any]) -> None:
    kinds = ("assets", "sessions", "rules", "line-items", "changes", "consumption")
    for path in ("/no-such-page", *(f"/{kind}/none" for kind in kinds)):
        watched = open_page(path)
        expect(watched.page.locator("h1")).to_have_text("Not found")
        watched.complaints[:] = [text for text in watched.complaints if "404" not in text]


def test_empty_console_says_what_to_do(open_page: Callable[..., Any], bare_console: Any) -> None:
    for path, sentence in (
        ("/", "No worker is heard of"),
        ("/changes", "No changes yet"),
        ("/assets", "No metadata yet"),
        ("/reports", "No report yet"),
        ("/quarantine", "Nothing waits"),
        ("/sessions", "No sessions yet"),
        ("/rules", "No rules yet"),
        ("/line-items", "No line items yet"),
        ("/dead-letters", "No dead letters"),
    ):
        page = open_page(path, base=bare_console.url).page
        expect(page.get_by_text(sentence)).to_be_visible()
    assert violations(open_page("/", base=bare_console.url).page) == []


def test_broken_stores_are_said_and_the_pages_stay(open_page: Callable[..., Any], broken_console: Any) -> None:
    page = open_page("/", base=broken_console.url).page
    expect(page.get_by_text("The history database does not answer.").first).to_be_visible()
    expect(page.get_by_text("Redis does not answer.").first).to_be_visible()
    assert violations(page) == []
    for path in (
        "/changes",
        "/assets",
        "/reports",
        "/quarantine",
        "/consumption/song-1",
        "/sessions",
        "/rules",
        "/line-items",
        "/dead-letters",
        "/assets/song-1",
    ):
        page = open_page(path, base=broken_console.url).page
        expect(page.get_by_text("The history database does not answer.").first).to_be_visible()
