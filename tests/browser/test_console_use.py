"""Keyboard, theme, filters, clocks, sign-in: how the console is used."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_keyboard_moves_opens_searches_and_explains(open_page: Callable[..., Any]) -> None:
    page = open_page("/changes").page
    rows = [link.get_attribute("id") for link in page.locator("[data-list] .row-link").all()]
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == rows[1]
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.id") == rows[0]
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("jk?")
    expect(page.locator("#q")).to_have_value("jk?")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/assets/"))
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url(re.compile("/sessions$"))


def test_skip_link_comes_first_and_works(open_page: Callable[..., Any]) -> None:
    page = open_page("/changes").page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_theme_is_remembered_and_set_before_the_first_paint(open_page: Callable[..., Any]) -> None:
    page = open_page("/", "light").page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("#theme-toggle").click()
    page.locator("#theme-toggle").click()
    expect(page.locator("#theme-toggle")).to_contain_text("Theme: dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.add_init_script(f"addEventListener('DOMContentLoaded', () => {{ window.first = {ground} }}, {{ once: true }})")
    page.goto(page.url + "changes")
    assert page.evaluate("window.first") == dark


def test_address_holds_the_filters(open_page: Callable[..., Any]) -> None:
    page = open_page("/changes").page
    page.select_option("#f-kind", "gradual")
    page.wait_for_url(re.compile(r"/changes\?kind=gradual$"))
    badges = page.locator("tbody .badge").all_inner_texts()
    assert badges and not any("Rapid" in text for text in badges)
    page.locator("#q").fill("All I Want")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.get_by_role("link", name="Show all changes").click()
    page.get_by_role("link", name="Older").click()
    page.wait_for_url(re.compile(r"page=2"))
    expect(page.get_by_text(re.compile("^51 to "))).to_be_visible()


def test_clock_times_are_the_viewers_with_utc_in_the_title(open_page: Callable[..., Any]) -> None:
    page = open_page("/sessions/ended-1").page
    shown = page.locator("time[data-clock=full]").first
    expect(shown).to_have_text(re.compile(r"(GMT-[45]|E[SD]T)$"))
    assert (shown.get_attribute("title") or "").endswith(" UTC")
    expect(page.locator("[data-zone]").first).to_have_text(re.compile(r"GMT-[45]|E[SD]T"))
    expect(open_page("/assets/song-1").page.get_by_text("UTC report days").first).to_be_visible()


def test_answers_carry_a_strict_policy(open_page: Callable[..., Any], console: Any) -> None:
    page = open_page("/").page
    for path in ("/", "/console/fragments/overview", "/static/console.js"):
        policy = page.request.get(console.url + path).headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy


def test_closed_console_asks_for_the_key(open_page: Callable[..., Any], closed_console: Any) -> None:
    page = open_page("/changes", base=closed_console.url).page
    page.wait_for_url(re.compile("/login"))
    page.locator("#key").fill("admin-key")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/changes$"))
    expect(page.locator("h1")).to_have_text("Changes")
