"""The divvy action's outer side: parameters, and the source and broker connection that warm calls keep."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import redis

from hort import action, clock, config, gbfs, outgoing, store, urls
from hort.counters import RedisCounters
from hort.divvy import Poller, Result, Settings
from hort.divvy_state import RedisPollState
from hort.errors import HortError, SourceUnavailable
from hort.publisher import Broker, PahoPublisher

FETCH_TIMEOUT_S = 8.0
MAX_DOCUMENT = 16 * 1024 * 1024


def run(args: dict[str, Any]) -> Result:
    """One activation: what was published, or why nothing was; an `error` where the broker or Redis failed."""
    params = action.strip(args)
    if config.lookup(params, "gbfs_url") is None:
        return {"published": 0, "reason": "parameter 'gbfs_url' is not set, there is no source to poll"}
    try:
        settings = Settings.of(params)
        redis_client = store.connect(params)
        poller = Poller(
            source=_source(
                config.text(params, "gbfs_url"),
                urls.policy(params),
                config.text(params, "language", default="en"),
            ),
            publisher=_publisher(Broker.of(params)),
            state=RedisPollState(redis_client),
            counters=RedisCounters(redis_client),
            settings=settings,
            now=clock.now_ms,
        )
        result = poller.run()
    except (HortError, redis.RedisError) as error:
        action.log("divvy", error=str(error))
        return {"error": str(error)}
    action.log("divvy", **result)
    return result


@lru_cache(maxsize=4)
def _source(url: str, policy: urls.Policy, language: str) -> gbfs.Client:
    return gbfs.Client(url, lambda address: fetch(address, policy), language=language)


@lru_cache(maxsize=4)
def _publisher(broker: Broker) -> PahoPublisher:
    return PahoPublisher(broker, name="hort-divvy")


def fetch(url: str, policy: urls.Policy) -> bytes:
    """The body of a document; SourceUnavailable where the source does not answer with one."""
    try:
        answer = outgoing.get(url, policy=policy, timeout_s=FETCH_TIMEOUT_S, max_bytes=MAX_DOCUMENT)
    except HortError as error:
        raise SourceUnavailable(f"GBFS source {urls.shown(url)}: {error}") from error
    if answer.status != 200:
        raise SourceUnavailable(f"GBFS source {urls.shown(url)} answered with status {answer.status}")
    return answer.body
