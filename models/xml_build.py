"""Writing XML: elements with text or, for addresses, CDATA, as VAST and VMAP want them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.dom.minidom import Document, Element

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def begin(name: str, attributes: Mapping[str, str]) -> tuple[Document, Element]:
    """A new document and its root."""
    document = Document()
    root = document.createElement(name)
    document.appendChild(root)
    return document, _dress(root, attributes)


def add(parent: Element, name: str, attributes: Mapping[str, str] | None = None, *, text: str = "") -> Element:
    """A new last child; with ``text``, as text. What XML cannot hold is left out.

    >>> document, root = begin("a", {})
    >>> _ = add(root, "b", {"c": "1"}, text="x < y\\x00")
    >>> document.documentElement.toxml()
    '<a><b c="1">x &lt; y</b></a>'
    """
    child = _dress(_document(parent).createElement(name), attributes or {})
    if text:
        child.appendChild(_document(parent).createTextNode(_NOT_XML.sub("", text)))
    parent.appendChild(child)
    return child


def add_url(parent: Element, name: str, url: str, attributes: Mapping[str, str] | None = None) -> Element:
    """A new last child that holds an address, as CDATA.

    >>> document, root = begin("a", {})
    >>> _ = add_url(root, "b", "https://x.example/?c&d")
    >>> document.documentElement.toxml()
    '<a><b><![CDATA[https://x.example/?c&d]]></b></a>'
    """
    child = add(parent, name, attributes)
    plain = _NOT_XML.sub("", url).replace("]]>", "]]%3E")
    child.appendChild(_document(parent).createCDATASection(plain))
    return child


def as_bytes(document: Document) -> bytes:
    """UTF-8, with its declaration."""
    return document.toxml(encoding="utf-8")


def _dress(element: Element, attributes: Mapping[str, str]) -> Element:
    for name, value in attributes.items():
        element.setAttribute(name, _NOT_XML.sub("", value))
    return element


def _document(element: Element) -> Document:
    owner = element.ownerDocument
    assert owner is not None
    return owner
