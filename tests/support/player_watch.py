"""A page on which a video is watched, in Chromium, and what was told of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from api_server import READ
from playwright.sync_api import BrowserContext, Page, Route
from stream_helpers import read_topic, wait_until

from cuepoint.ops.settings import Settings
from cuepoint.schemas.topics import PLAYER_EVENTS


class Watching:
    """A page on which a video is watched, and what was told of it."""

    def __init__(self, page: Page, settings: Settings) -> None:
        self.page, self.settings = page, settings
        wait_until(lambda: page.evaluate("window.cuepointPlayer?.video.readyState > 0"), "the video's metadata")
        if not page.url.endswith(
            ("stay", "hls", "evening")
        ):  # the others have an ad at their start, and the machine may be busy
            page.evaluate("cuepointPlayer.options.waitS = 20")
        self.session: str = page.evaluate("cuepointPlayer.id")

    def js(self, script: str) -> Any:
        return self.page.evaluate(f"(() => {{ const player = cuepointPlayer, video = player.video; {script} }})()")

    def until(self, condition: str) -> None:
        wait_until(lambda: self.js(f"return {condition}"), condition)

    def ad(self, kind: str) -> Any:
        return self.page.locator(f".cp-ad[data-type={kind}]")

    def told(self, topic: Any) -> list[dict[str, Any]]:
        values = [json.loads(each.value()) for each in read_topic(self.settings, topic)]
        return [each for each in values if each.get("session_id") == self.session]

    def until_told(self, *kinds: str, topic: Any = PLAYER_EVENTS) -> list[dict[str, Any]]:
        """All that was told, once each of the kinds was."""

        def found() -> list[dict[str, Any]] | None:
            told = self.told(topic)
            return told if set(kinds) <= {each["kind"] for each in told} else None

        return list(wait_until(found, f"{kinds} on {topic.name}"))

    def delivery(self, line_item: str) -> dict[str, Any]:
        """What reports say of a line item."""
        home = "/".join(self.page.url.split("/")[:3])
        found: dict[str, Any] = httpx.get(f"{home}/v1/line-items/{line_item}/delivery", headers=READ).json()
        return found

    def reported(self, line_item: str) -> Counter[str]:
        """The line item's events of all days, by the history; those that a player told."""
        days = self.delivery(line_item)["days"].values()
        return sum((Counter(day) for day in days), Counter()) - Counter(handed_out=10**9)

    def skip(self) -> None:
        """Skip the ad as soon as it may be: at once, for an ad does not wait for a busy machine."""
        button = "[...document.querySelectorAll('.cp-bar button')].find((each) => each.textContent === 'Skip')"
        wait_until(
            lambda: self.js(f"const it = {button}; if (it?.disabled === false) return it.click() ?? true"), "Skip"
        )

    def until_decided(self, number: int) -> list[dict[str, Any]]:
        """The session's decisions, once there are so many."""

        def found() -> list[dict[str, Any]] | None:
            url: str = self.js("return `${player.base}decisions?${player.query}`")
            decided: list[dict[str, Any]] = httpx.get(url).json()["decisions"]
            return decided if len(decided) >= number else None

        return list(wait_until(found, f"{number} decisions"))


def agreed(url: str) -> Any:
    """The storage of a browser whose viewer has agreed to be remembered there."""
    return {"cookies": [], "origins": [{"origin": url, "localStorage": [{"name": "cuepoint.consent", "value": "yes"}]}]}


def open_player(
    context: BrowserContext,
    address: str,
    settings: Settings,
    script: str = "",
    answers: Mapping[str, Callable[[Route], None]] | None = None,
) -> Watching:
    """The player page at ``address``; ``script`` runs before the page's own and says "tried" when it is done."""
    page = context.new_page()
    for pattern, answer in (answers or {}).items():
        page.route(re.compile(pattern), answer)
    if not script:
        page.goto(address)
        return Watching(page, settings)
    page.add_init_script(script)
    with page.expect_console_message(lambda message: message.text == "tried"):
        page.goto(address)
    return Watching(page, settings)
