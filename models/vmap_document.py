"""VMAP 1.0.1 documents (IAB, 2014): the breaks of a video, each with where its ads come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.dom.minidom import Document

from cuepoint.models.vast_document import Tracking
from cuepoint.models.xml_build import add, add_url, as_bytes, begin

NAMESPACE = "http://www.iab.net/videosuite/vmap"
_TRACKED = {"breakStart": "break_start", "breakEnd": "break_end", "error": "break_error"}


class VmapBreak(NamedTuple):
    """``offset``: ``start``, ``end``, ``hh:mm:ss.mmm``, ``n%`` or ``#m``; ``repeat_after``: ``hh:mm:ss.mmm``, or empty.
    The ads are asked for at ``tag_url`` when the break comes, or stand in ``vast`` already."""

    break_id: str
    offset: str
    tracking: Tracking
    tag_url: str = ""
    vast: Document | None = None
    linear: bool = True
    repeat_after: str = ""


def vmap_document(breaks: Sequence[VmapBreak]) -> bytes:
    """The document; without breaks it is an empty one, which is valid."""
    document, root = begin("vmap:VMAP", {"version": "1.0", "xmlns:vmap": NAMESPACE})
    for each in breaks:
        kind = "linear" if each.linear else "nonlinear"
        given = {"timeOffset": each.offset, "breakType": kind, "breakId": each.break_id}
        if each.repeat_after:
            given["repeatAfter"] = each.repeat_after
        entry = add(root, "vmap:AdBreak", given)
        allowed = {"id": f"{each.break_id}-1", "allowMultipleAds": "true", "followRedirects": "true"}
        source = add(entry, "vmap:AdSource", allowed)
        if each.vast is not None:
            inner = each.vast.documentElement
            assert inner is not None
            add(source, "vmap:VASTAdData").appendChild(document.importNode(inner, deep=True))
        else:
            add_url(source, "vmap:AdTagURI", each.tag_url, {"templateType": "vast4"})
        events = add(entry, "vmap:TrackingEvents")
        for name, event in _TRACKED.items():
            end = "&code=[ERROR_CODE]" if name == "error" else ""
            add_url(events, "vmap:Tracking", each.tracking.url(event) + end, {"event": name})
    return as_bytes(document)
