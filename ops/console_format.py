"""How the console writes numbers, days and clock times: from a value to text (or safe markup)."""

from __future__ import annotations

import datetime as dt

from markupsafe import Markup

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"


def number(value: float | None, digits: int = 0) -> str:
    """Grouped by thousands; a dash where there is no value.

    >>> ascii((number(1234567.0), number(None), number(-3)))
    "('1,234,567', '\\\\u2013', '\\\\u22123')"
    """
    return DASH if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def rate(value: float | None) -> str:
    """A rate, with a decimal while it is small.

    >>> rate(0.0), rate(3.14), rate(1234.5)
    ('0', '3.1', '1,234')
    """
    if value is None:
        return DASH
    return number(value, 1 if 0 < value < 100 else 0)


def signed(value: float | None, digits: int = 0) -> str:
    """With its sign; what rounds to nothing has none.

    >>> ascii((signed(1200.0), signed(-5.25, 1), signed(-0.2), signed(0.0)))
    "('+1,200', '\\\\u22125.2', '0', '0')"
    """
    if value is None:
        return DASH
    text = f"{value:+,.{digits}f}"
    return text.replace("-", MINUS) if text.strip("+-0.") else text[1:]


def percent(value: float | None) -> str:
    """A signed percentage of change.

    >>> ascii((percent(41.4), percent(-3.25), percent(1234.0)))
    "('+41%', '\\\\u22123.2%', '+1,234%')"
    """
    return DASH if value is None else signed(value, 1 if abs(value) < 10 else 0) + "%"


def probability(value: float | None) -> str:
    """A probability as a percentage that never claims certainty.

    >>> probability(0.99999), probability(0.973), probability(0.00001)
    ('>99.9%', '97.3%', '<0.1%')
    """
    if value is None:
        return DASH
    if value > 0.999:
        return ">99.9%"
    return "<0.1%" if value < 0.001 else f"{value:.1%}"


def seconds(value: float | None) -> str:
    """A duration or a position in a video.

    >>> seconds(75), seconds(3723), seconds(4.4)
    ('1:15', '1:02:03', '0:04')
    """
    if value is None:
        return DASH
    minutes, rest = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def day(value: dt.date | None) -> Markup | str:
    """A report day: a UTC day, never shifted into another zone.

    >>> day(dt.date(2019, 12, 24))
    Markup('<time datetime="2019-12-24" title="UTC report day">24 Dec 2019</time>')
    """
    if value is None:
        return DASH
    text = f"{value.day} {value:%b %Y}"
    return Markup('<time datetime="{}" title="UTC report day">{}</time>').format(value.isoformat(), text)


def clock(value_ms: int | None, form: str = "auto") -> Markup | str:
    """A moment (ms since 1970): UTC as rendered; the page's script shows it in the viewer's zone, UTC in the title.

    >>> str(clock(1000)).split(">")[0]
    '<time datetime="1970-01-01T00:00:01.000Z" data-clock="auto" title="1970-01-01 00:00:01 UTC"'
    """
    if not value_ms:
        return DASH
    at = dt.datetime.fromtimestamp(value_ms / 1000, dt.UTC)
    iso = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" data-clock="{}" title="{}">{}</time>').format(iso, form, text, text)


def criterion(value: str | float | bool | None) -> str:
    """The value of a criterion.

    >>> criterion(True), criterion(61.25), criterion(3.0), criterion("music"), criterion(None)
    ('yes', '61.25', '3', 'music', 'unknown')
    """
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def sparkline(values: list[float], width: int = 120, height: int = 28, slots: int = 60) -> Markup:
    """An inline SVG of the last ``slots`` values, the newest at the right end. Hidden from screen readers:
    its number stands beside it in text.

    >>> 'M0.0,26.0 L120.0,2.0' in sparkline([0.0, 1.0], slots=2)
    True
    """
    if len(values) < 2:
        values = [0.0, 0.0]
    top = max(*values, 1e-9)
    step = width / (slots - 1)
    values = values[-slots:]
    left = width - step * (len(values) - 1)
    points = [f"{left + i * step:.1f},{height - 2 - value / top * (height - 4):.1f}" for i, value in enumerate(values)]
    line = "M" + " L".join(points)
    area = f"{line} L{width},{height} L{left:.1f},{height} Z"
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<path class="area" d="{area}"/><path class="line" d="{line}"/></svg>'
    ).format(w=width, h=height, area=area, line=line)


def printable(raw: bytes, limit: int = 2000) -> str:
    """Bytes as text that cannot harm: what is not UTF-8 or printable as escapes, cut at ``limit`` characters.

    >>> printable(b'{"a":1}'), printable(bytes([0xff, 0, 10])), printable(b'abcdef', 3)
    ('{"a":1}', '\\\\xff\\\\x00\\\\n', 'abc…')
    """
    text = raw[: 4 * limit].decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= limit else text[:limit] + "…"
