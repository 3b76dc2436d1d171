"""Stores that answer, but not what one would like: Elasticsearch overloaded, Redis full or read-only."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis

from campaign.faults.kind import Inject, Kind
from campaign.rejections import ElasticsearchProxy
from campaign.stage import Stage

LASTS_S = (3.0, 10.0)
UNDO_S = 30.0


def _elasticsearch(begin: Callable[[ElasticsearchProxy, random.Random], None]) -> Inject:
    @contextlib.contextmanager
    def inject(stage: Stage, draw: random.Random) -> Iterator[str]:
        begin(stage.elasticsearch, draw)
        try:
            yield "actions-elasticsearch"
        finally:
            stage.elasticsearch.heal()

    return inject


def _redis(begin: Callable[[Any], Any], end: Callable[[Any], Any]) -> Inject:
    @contextlib.contextmanager
    def inject(stage: Stage, _draw: random.Random) -> Iterator[str]:
        client = redis.Redis.from_url(stage.redis_url, socket_timeout=10)
        try:
            begin(client)
            yield "redis"
        finally:
            _insist(lambda: end(client))
            client.close()

    return inject


def _insist(work: Callable[[], Any]) -> None:
    deadline = time.monotonic() + UNDO_S
    while True:
        try:
            work()
        except redis.RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return


def _fill(client: Any) -> None:
    """From now on each write is refused with OOM."""
    client.config_set("maxmemory", max(1, int(client.info("memory")["used_memory"]) // 2))


KINDS = [
    Kind("elasticsearch-429", LASTS_S, ("elasticsearch-answers",), _elasticsearch(lambda proxy, draw: proxy.answer(429, share=draw.choice((0.5, 1.0))))),
    Kind("elasticsearch-503", LASTS_S, ("elasticsearch-answers",), _elasticsearch(lambda proxy, draw: proxy.answer(503, share=draw.choice((0.5, 1.0))))),
    Kind("elasticsearch-lost-answers", LASTS_S, ("elasticsearch-answers",), _elasticsearch(lambda proxy, draw: proxy.lose_answers(draw.choice((0.5, 0.9))))),
    Kind(
        "elasticsearch-items",
        LASTS_S,
        ("elasticsearch-answers",),
        _elasticsearch(lambda proxy, draw: proxy.reject_items(draw.choice((0.1, 0.6)), status=draw.choice((429, 503)))),
    ),
    Kind("redis-full", LASTS_S, ("redis",), _redis(_fill, lambda client: client.config_set("maxmemory", "2gb"))),
    Kind("redis-read-only", LASTS_S, ("redis",), _redis(lambda client: client.replicaof("127.0.0.1", 1), lambda client: client.replicaof("NO", "ONE"))),
]
