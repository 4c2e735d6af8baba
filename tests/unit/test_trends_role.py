"""Workers follow the catalogue with hyperparameters of a file, and do not start with a file that is wrong."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cuepoint.agents.watch_trends import WatchTrends
from cuepoint.models.trend_params import TrendParams
from cuepoint.ops.settings import Settings
from cuepoint.ops.worker_roles import make_role
from cuepoint.schemas.codec import encode
from cuepoint.schemas.errors import ConfigurationError
from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.schemas.trends import AssetDay, ReportCompleted, ReportOpened, TrendRecord
from cuepoint.streams.batch import Batch

FIRST = dt.date(2026, 3, 2)
DAYS, AT_MS = 12, 1_790_000_000_000


def the_agent(folder: Path, text: str | None = None) -> WatchTrends:
    """The agent of a worker of role trends, its settings from the environment but for the file of hyperparameters."""
    path = folder / "params.json"
    if text is not None:
        path.write_text(text)
    settings = Settings(data_dir=folder, trend_params=path if text is not None else None)
    [agent] = make_role("trends", settings, Redis()).agents
    assert isinstance(agent, WatchTrends)
    return agent


def reports(first: int, last: int) -> Batch:
    """Days first..last of one asset, one after the other in the log."""
    values = []
    for n in range(first, last):
        day = FIRST + dt.timedelta(days=n)
        values.append(encode(ReportOpened(dsp="d", day=day)))
        values.append(encode(TrendRecord(dsp="d", day=day, asset_id="a", count=1_000 + 200 * (n % 2))))
        values.append(encode(ReportCompleted(dsp="d", day=day, records=1, partition_records=1)))
    start, n = 3 * first, len(values)
    return Batch(TREND_RECORDS.name, 0, start, start + n - 1, values, [None] * n, range(start, start + n), [AT_MS] * n)


async def told(agent: WatchTrends, first: int = 0, last: int = DAYS) -> list[AssetDay]:
    out = [each.message for each in await agent.process(reports(first, last))]
    return [message for message in out if isinstance(message, AssetDay)]


async def test_a_worker_follows_with_the_hyperparameters_of_its_file(tmp_path: Path) -> None:
    fitted = TrendParams(level_variance=0.05, tail=9.0)
    by_file = await told(the_agent(tmp_path, '{"params": {"level_variance": 0.05, "tail": 9}}'))
    assert len(by_file) == DAYS
    assert by_file == await told(WatchTrends(params=fitted))
    assert by_file != await told(the_agent(tmp_path))
    assert await told(the_agent(tmp_path)) == await told(WatchTrends())


async def test_a_state_is_carried_on_with_other_hyperparameters(tmp_path: Path) -> None:
    before, after = the_agent(tmp_path), the_agent(tmp_path, '{"params": {"level_variance": 0.05}}')
    await told(before, 0, 10)
    blob = before.snapshot(0)
    after.restore(0, blob)
    assert after.snapshot(0) == blob
    [goes_on] = await told(after, 10, 11)
    [would_have] = await told(before, 10, 11)
    assert goes_on.mean == pytest.approx(would_have.mean, rel=0.05)
    assert goes_on.upper_80 - goes_on.lower_80 > would_have.upper_80 - would_have.lower_80


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"params": {"level_varianz": 1}}', r"params\.level_varianz: no such hyperparameter"),
        ('{"params": {"level_variance": -1}}', r"params\.level_variance: must be above zero"),
        ('{"params": {"level_variance": [1, 2]}}', r"params\.level_variance: Expected `float`, got `array`"),
        ('{"params": {"level_variance": "much"}}', r"params\.level_variance: Expected `float`"),
        ('{"params": {"day_prior": [0.1]}}', r"params\.day_prior: Expected `array` of length 6"),
        ('{"params": {}, "held_out": "high"}', r"\$\.held_out Expected `float`"),
        ('{"params": {}, "version": 2}', "version 2"),
        ("{", "truncated"),
    ],
)
def test_a_worker_says_what_is_wrong_with_its_file(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"params\.json: .*{field}"):
        the_agent(tmp_path, text)


def test_a_worker_says_that_its_file_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.json: No such file"):
        make_role("trends", Settings(data_dir=tmp_path, trend_params=tmp_path / "gone.json"), Redis())
