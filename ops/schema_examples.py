"""One example a contract, for the AsyncAPI document: a Christmas song that rises, and a session that earns a spot."""

from __future__ import annotations

import datetime as dt

from cuepoint.schemas.ads import AdEvent, Creative, LineItem, MediaFile
from cuepoint.schemas.base import Contract
from cuepoint.schemas.consumption import Cell, Consumption, ConsumptionAmendment
from cuepoint.schemas.faults import DeadLetter
from cuepoint.schemas.media import CuePoint, ExternalAsset, Playlist, Rating, Video
from cuepoint.schemas.opportunities import (
    Dimension,
    Driver,
    Explanation,
    Interval,
    Opportunity,
    PartOfChange,
    ProximalCause,
)
from cuepoint.schemas.playback import AdDecision, PlayerEvent
from cuepoint.schemas.quarantine import Quarantined
from cuepoint.schemas.rules import AdFormat, AdRule, Compare, Limits, Progressive
from cuepoint.schemas.trends import (
    Asset,
    AssetDay,
    Change,
    ReportCompleted,
    ReportOpened,
    ReportWithdrawn,
    TrendAmendment,
    TrendHyperparameters,
    TrendRecord,
)

_DAY = dt.date(2018, 11, 26)
_AT = 1_543_219_200_000  # 2018-11-26T08:00Z

EXAMPLES: tuple[Contract, ...] = (
    ReportOpened(dsp="spotify", territory="US", day=_DAY, source="us-2018-11-26.csv"),
    TrendRecord(asset_id="0bYg9bo50gSsH3LtXe2SQn", day=_DAY, dsp="spotify", territory="US", count=622_108),
    ReportCompleted(
        dsp="spotify", territory="US", day=_DAY, records=200, partition_records=54, source="us-2018-11-26.csv"
    ),
    Consumption(
        asset_id="0bYg9bo50gSsH3LtXe2SQn",
        day=_DAY,
        dsp="spotify",
        territory="US",
        region="US-NY",
        gender="female",
        age_band="25-34",
        subscription="paid",
        context="playlist",
        activity="passive",
        container="37i9dQZF1DX0Yxoavh5qJV",
        container_name="Christmas Hits",
        device="phone",
        count=1_204,
        consumers=877,
        played_seconds=262_111,
        completed=1_013,
    ),
    ConsumptionAmendment(
        asset_id="0bYg9bo50gSsH3LtXe2SQn",
        day=_DAY,
        dsp="deezer",
        territory="FR",
        part="isrc:USSM19400325",
        cells=[Cell(gender="male", context="search", activity="active", count=61, consumers=48)],
    ),
    Quarantined(
        identifiers=["isrc:USSM19400325", "deezer:86018021"],
        day=_DAY,
        dsp="deezer",
        territory="FR",
        count=64,
        cells=[Cell(gender="male", context="search", activity="active", count=61, consumers=48)],
    ),
    ReportWithdrawn(dsp="spotify", territory="US", day=_DAY, source="us-2018-11-26.csv"),
    TrendAmendment(asset_id="0bYg9bo50gSsH3LtXe2SQn", day=_DAY, dsp="spotify", territory="US", count=622_190),
    TrendHyperparameters(
        version=3,
        from_day=_DAY,
        params={"level_variance": 0.0012, "tail": 4.0},
        made_at=_AT,
        made_by="catalogue on node-2",
        source="consumption store, 400 days to 2018-11-25",
        assets=2_000,
        held_out=0.9127,
        replaced=0.9051,
    ),
    Asset(
        asset_id="0bYg9bo50gSsH3LtXe2SQn",
        title="All I Want for Christmas Is You",
        artist="Mariah Carey",
        isrc="USSM19400325",
        released=dt.date(1994, 11, 1),
        identifiers=["spotify:0bYg9bo50gSsH3LtXe2SQn", "deezer:86018021"],
    ),
    AssetDay(
        asset_id="0bYg9bo50gSsH3LtXe2SQn",
        day=_DAY,
        count=622_108.0,
        mean=411_300.0,
        lower_80=362_900.0,
        upper_80=466_100.0,
        lower_95=339_700.0,
        upper_95=498_000.0,
        level=455_200.0,
        trend=0.061,
        p_same=0.0007,
        p_trend=0.994,
        scored_at=_AT,
    ),
    Change(
        change_id="0bYg9bo50gSsH3LtXe2SQn:2018-11-24:up",
        revision=2,
        status="updated",
        asset_id="0bYg9bo50gSsH3LtXe2SQn",
        kind="rapid",
        direction="up",
        start=dt.date(2018, 11, 24),
        day=_DAY,
        probability=0.9993,
        size_per_day=301_900.0,
        size_percent=94.3,
        count=622_108.0,
        expected=320_208.0,
        lower_80=284_000.0,
        upper_80=361_000.0,
        lower_95=267_100.0,
        upper_95=383_900.0,
    ),
    Explanation(
        change_id="0bYg9bo50gSsH3LtXe2SQn:2018-11-24:up",
        revision=2,
        asset_id="0bYg9bo50gSsH3LtXe2SQn",
        start=dt.date(2018, 11, 24),
        day=_DAY,
        observed=604_100.0,
        expected=320_208.0,
        change=Interval(283_892.0, 262_400.0, 305_300.0),
        market=Interval(12_300.0, 11_900.0, 12_800.0),
        dimensions=[
            Dimension(
                dimension="container",
                parts=[
                    PartOfChange(
                        value="37i9dQZF1DX0Yxoavh5qJV",
                        name="Christmas Hits",
                        effect=Interval(198_700.0, 181_200.0, 217_000.0),
                        share=0.7,
                        expected=4_100.0,
                        likely=0.999,
                    )
                ],
                unexplained=Interval(72_892.0, 51_000.0, 94_100.0),
            )
        ],
        causes=[
            ProximalCause(
                dimension="container", value="37i9dQZF1DX0Yxoavh5qJV", name="Christmas Hits", probability=0.93
            )
        ],
    ),
    Opportunity(
        change_id="0bYg9bo50gSsH3LtXe2SQn:2018-11-24:up",
        revision=2,
        asset_id="0bYg9bo50gSsH3LtXe2SQn",
        day=_DAY,
        opportunity=True,
        probability=0.71,
        goal="expand",
        drivers=[
            Driver(name="base", value=1.0, contribution=-1.1),
            Driver(name="potential", value=0.9, contribution=1.44),
        ],
        conversion=Interval(0.071, 0.05, 0.093),
        search_conversion=Interval(0.31, 0.09, 0.54),
        drop_off=Interval(0.028, 0.012, 0.05),
        completion=Interval(0.72, 0.71, 0.73),
        potential=Interval(1.4, 0.7, 2.6),
        learnt=0.44,
    ),
    PlayerEvent(
        event_id="s-81-17",
        session_id="s-81",
        seq=17,
        kind="progressed",
        at=_AT,
        received_at=_AT + 240,
        video_id="v-12",
        position_s=61.5,
        duration_s=600.0,
        category="music",
    ),
    AdRule(
        rule_id="progressive-music",
        version=3,
        name="Progressive spots in music",
        effective_at=_AT - 60_000,
        format=AdFormat(type="spot", length_s=10.0),
        insertion=Progressive(window_s=60.0, intervals_s=[10.0, 20.0, 30.0]),
        criteria=Compare(field="category", value="music"),
        limits=Limits(per_session=12),
    ),
    AdDecision(
        decision_id="s-81:progressive-music:61",
        session_id="s-81",
        video_id="v-12",
        rule_id="progressive-music",
        rule_version=3,
        event_id="s-81-17",
        decided_at=_AT + 240,
        number=4,
        position_s=61.5,
        format=AdFormat(type="spot", length_s=10.0),
        duration_s=10.0,
        spot_load=3.9,
        reason="every 20 s in the second minute",
        criteria={"category": "music"},
    ),
    Video(
        video_id="v-12",
        version=2,
        updated_at=_AT,
        title="Christmas around the world",
        url="https://media.example.org/v-12/main.m3u8",
        duration_s=600.0,
        categories=["music", "holidays"],
        cue_points=[CuePoint(at_s=120.0, duration_s=30.0, source="scte35"), CuePoint(at_s=300.0, name="Second half")],
        ratings={"viewers": Rating(value=4.4, votes=118)},
    ),
    Playlist(playlist_id="holidays", updated_at=_AT, title="Holidays", videos=["v-12", "v-13"]),
    ExternalAsset(
        external_id="poster-12", updated_at=_AT, url="https://media.example.org/v-12.jpg", kind="image", width=1280
    ),
    LineItem(
        line_item_id="toys-december",
        updated_at=_AT,
        advertiser="Toys",
        category="toys",
        competitive_group="toys",
        creatives=[
            Creative(
                creative_id="toys-15",
                length_s=15.0,
                media=[MediaFile(url="https://media.example.org/toys-15.mp4", width=1280, height=720)],
                click_url="https://toys.example.org/",
            )
        ],
        criteria=Compare(field="category", value="music"),
        impressions=100_000,
        frequency_day=3,
    ),
    AdEvent(
        event_id="s-81:b1:1:impression",
        session_id="s-81",
        kind="impression",
        at=_AT,
        break_id="b1",
        line_item_id="toys-december",
        creative_id="toys-15",
        slot=1,
    ),
    DeadLetter(
        topic="cuepoint.trend-records.v1",
        source="us-2018-11-26.csv",
        line=118,
        code="invalid",
        field="$.count",
        reason="Expected `int` >= 0",
        original=b"0bYg9bo50gSsH3LtXe2SQn,2018-11-26,-5",
        at=_AT,
    ),
)
