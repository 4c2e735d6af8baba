"""What an embedded run has to show from its first second: predefined rules, and the sample's videos, line items, rules.

All of it goes in by the API, as a user's would.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from importlib import resources
from typing import Any, NamedTuple

import msgspec
import yaml

from cuepoint.models.rule_yaml import load_rules
from cuepoint.ops.embedded_children import Place
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import Unavailable
from cuepoint.schemas.rules import AdRule

_SECTIONS = {  # of the sample, in the order in which one names another: path and id
    "videos": ("media/videos", "video_id"),
    "playlists": ("media/playlists", "playlist_id"),
    "line-items": ("line-items", "line_item_id"),
}


class Samples(NamedTuple):
    """``documents``: (path below /v1, value)."""

    documents: list[tuple[str, dict[str, Any]]]
    rules: list[AdRule]


def read_samples(base: str) -> Samples:
    """The sample as it is at the API's address."""
    folder = resources.files("cuepoint.ops")
    told = yaml.safe_load((folder / "samples" / "ads.yaml").read_text(encoding="utf-8").replace("BASE/", f"{base}/"))
    predefined = load_rules((folder / "predefined_rules.yaml").read_text(encoding="utf-8"))
    documents = [(f"{path}/{value[id]}", value) for section, (path, id) in _SECTIONS.items() for value in told[section]]
    return Samples(documents, predefined + load_rules(yaml.safe_dump(told["rules"], sort_keys=False)))


def seed_samples(place: Place) -> int:
    """Store all of it; how many rules there are. Raises Unavailable where the API refuses something."""
    samples = read_samples(place.console.rstrip("/"))
    for path, value in samples.documents:
        _put(place, path, msgspec.json.encode(value))
    for rule in samples.rules:
        _put(place, f"rules/{rule.rule_id}", encode(rule))
    return len(samples.rules)


def _put(place: Place, path: str, body: bytes) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own API
        f"{place.console}v1/{path}",
        data=body,
        method="PUT",
        headers={"Authorization": f"Bearer {place.admin_key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass
    except urllib.error.HTTPError as error:
        raise Unavailable(f"the API did not take {path}: {error} {error.read()[:500].decode()}") from error
    except (urllib.error.URLError, TimeoutError) as error:
        raise Unavailable(f"the API did not take {path}: {error}") from error
