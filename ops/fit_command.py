"""``cuepoint fit``: hyperparameters learnt from a file of counts or from the consumption store, and told to the
workers where they are better than those in force."""

from __future__ import annotations

import asyncio
import datetime as dt
import getpass
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from cuepoint.models.fit_params import Fit, fit
from cuepoint.models.trend_params import TrendParams, params_of, values_of
from cuepoint.ops.analyse_fit import FittedParams, read_params
from cuepoint.ops.analyse_read import CountTable, load_columns
from cuepoint.ops.fit_counts import Counts, stored_counts
from cuepoint.ops.settings import Settings
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.trends import TrendHyperparameters
from cuepoint.streams.params_publisher import publish_params
from cuepoint.streams.producer import AsyncProducer
from cuepoint.streams.topic_feed import read_trend_params


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``published``: the version that the workers were told of, None where none was."""

    fitted: FittedParams
    published: TrendHyperparameters | None = None


def fit_counts(counts: Counts, out: Path | None, start: TrendParams | None = None) -> Outcome:
    """Fit and write ``out``. Raises ConfigurationError."""
    fitted = _described(fit(counts.counts, counts.first_day, start), counts)
    if out is not None:
        write_params(fitted, out)
    return Outcome(fitted=fitted)


def described(outcome: Outcome, *, publish: bool) -> list[str]:
    """The outcome in words, a line each."""
    fitted, message = outcome.fitted, outcome.published
    lines = [f"{fitted.assets} series; held-out log likelihood a day {fitted.replaced:.4f} -> {fitted.held_out:.4f}"]
    if message is not None:
        lines.append(f"published as version {message.version}, from {message.from_day} on")
    elif publish:
        lines.append("not published: held-out assets are not forecast better than by those in force")
    return lines


def file_counts(path: Path, mapping: Path | None, assets: int) -> Counts:
    """An even sample of a file's series. Raises ConfigurationError."""
    if assets < 2:
        raise ConfigurationError("--assets: at least two assets, one to learn from and one to be held out")
    table = CountTable(path, load_columns(mapping))
    sample = np.unique(np.linspace(0, len(table.names) - 1, min(assets, len(table.names))).astype(np.int64))
    return Counts(np.array([day.counts[sample] for day in table.days()]), table.first_day, path.name)


def store_counts(settings: Settings, assets: int) -> Counts:
    """The consumption store's. Raises ConfigurationError where there is too little, Unavailable, TooSlow."""
    from cuepoint.ops.consumption_parts import consumption_store
    from cuepoint.streams.database import open_engine, upgrade

    engine = open_engine(settings.database_url.get_secret_value(), settings.sqlite_busy_s)
    try:
        upgrade(engine)
        return stored_counts(
            consumption_store(settings, engine),
            days=settings.fit_days,
            assets=assets,
            least_days=settings.fit_least_days,
            least_assets=settings.fit_least_assets,
        )
    finally:
        engine.dispose()


def fit_and_publish(
    settings: Settings, counts: Counts, *, from_day: dt.date | None = None, out: Path | None = None
) -> Outcome:
    """Fit, beginning with the hyperparameters in force, and tell the workers where held-out assets are better forecast:
    from the day after the counts on, or from ``from_day``. Raises ConfigurationError, Unavailable."""
    known = read_trend_params(settings.broker, settings.topic_prefix, settings.broker_request_timeout_s)
    if known:
        start = params_of(known[-1].params)
    else:
        start = read_params(settings.trend_params) if settings.trend_params else TrendParams()
    found = fit(counts.counts, counts.first_day, start)
    fitted = _described(found, counts)
    if out is not None:
        write_params(fitted, out)
    day = from_day or dt.date.fromordinal(counts.last_day + 1)
    message = next_version(known, fitted, day, counts.source, int(time.time() * 1000))
    if message is not None:
        asyncio.run(_publish(settings, message))
    return Outcome(fitted=fitted, published=message)


def next_version(
    known: Sequence[TrendHyperparameters], fitted: FittedParams, from_day: dt.date, source: str, now_ms: int
) -> TrendHyperparameters | None:
    """What the workers are told of a fit that began with the last of ``known``; None where held-out assets are not
    forecast better."""
    if not fitted.held_out > fitted.replaced:
        return None
    return TrendHyperparameters(
        version=known[-1].version + 1 if known else 1,
        from_day=from_day,
        params=fitted.params,
        made_at=now_ms,
        made_by=f"{getpass.getuser()} on {socket.gethostname()}"[:512],
        source=source[:512],
        assets=fitted.assets,
        held_out=fitted.held_out,
        replaced=fitted.replaced,
    )


async def _publish(settings: Settings, message: TrendHyperparameters) -> None:
    producer = AsyncProducer(settings.broker, source="cuepoint/fit", prefix=settings.topic_prefix)
    try:
        await publish_params(producer, message)
    finally:
        await producer.close()


def _described(found: Fit, counts: Counts) -> FittedParams:
    return FittedParams(
        params=values_of(found.params), assets=counts.counts.shape[1], held_out=found.held_out, replaced=found.replaced
    )


def write_params(fitted: FittedParams, out: Path) -> None:
    """As a file for analyse and workers. Raises ConfigurationError."""
    try:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(fitted)) + b"\n")
    except OSError as error:
        raise ConfigurationError(f"{out}: {error.strerror}") from error
