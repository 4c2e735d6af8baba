"""A worker with a large state is killed and started anew: how long until it is where it was, and has caught up."""

from __future__ import annotations

import signal
from typing import NamedTuple

from machine import Place
from ours import until_ready, until_received, watch, workers
from workload import PARTITIONS, Catalogue, load_days

from cuepoint.schemas.topics import TREND_RECORDS
from cuepoint.streams.producer import SyncProducer
from cuepoint.streams.topics_admin import create_topics


class Recovery(NamedTuple):
    """Seconds from the start of the process, and the worker's resident bytes per asset before it was killed."""

    assets: int
    loaded_s: float  # snapshots read, partitions assigned: ready
    replayed: int  # records of the log that no snapshot covered
    caught_up_s: float
    bytes_per_asset: float


def measure(place: Place, assets: int, prefix: str = "recovery.") -> Recovery:
    """Two days of ``assets`` assets, SIGKILL once they are saved, and a third day to replay."""
    create_topics(place.broker, PARTITIONS, prefix=prefix)
    producer = SyncProducer(place.broker, prefix=prefix)
    catalogue = Catalogue(assets)
    with workers(place, "trends", TREND_RECORDS, prefix, "recovery") as running:
        until_ready(place, running)
        empty = running[0].rss_bytes()
        until_received(place, running, load_days(producer, catalogue, 0, 2))
        for seen in watch(place, running):
            if not seen[0].unsaved_s:
                break
        grown = running[0].rss_bytes() - empty
        running[0].process.send_signal(signal.SIGKILL)
        running[0].process.wait()
    replayed = load_days(producer, catalogue, 2, 1)
    producer.close()
    with workers(place, "trends", TREND_RECORDS, prefix, "recovery") as running:
        until_ready(place, running)
        loaded_s = running[0].samples[-1].at_s - running[0].started_s
        until_received(place, running, replayed)
        caught_up_s = running[0].samples[-1].at_s - running[0].started_s
    return Recovery(assets, loaded_s, replayed, caught_up_s, grown / assets)
