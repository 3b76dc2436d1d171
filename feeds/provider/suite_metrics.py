"""The suite's own counters for Prometheus: what the actions counted in Redis, under the names of `hort.meanings`.

Every provider shows the same numbers: take the maximum over instances, not the sum. A scrape waits for Redis a second at most; while
that does not answer these metrics are missing and `hort_redis_up` is 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import redis
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.backoff import NoBackoff
from redis.retry import Retry

from hort import clock, keys, meanings, pane_store, store
from hort.batch import Reference
from hort.counters import RedisCounters
from hort.journal import RedisJournal
from hort.model_store import RedisModelStore

TIMEOUT_S = 1.0
MAX_MODELS = 200
"""Those of the registry and those that are in use."""
MAX_OTHERS = 200
"""Counters that no meaning is known of; what is over is left out."""
FEEDS = "feed_trouble"
"""Shown more exactly by the provider's own metrics."""
_STATUSES = ("ok", "error", "timeout", "open")

Numbers = Mapping[str, Mapping[str, str]]


def client(url: str) -> store.Client:
    """A Redis that is asked once and answers soon or not at all."""
    return redis.Redis.from_url(
        url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0), health_check_interval=0
    )


class SuiteMetrics(Collector):
    """Reads Redis at each scrape."""

    def __init__(self, client: store.Client) -> None:
        self._client: Any = client

    def describe(self) -> Iterable[Metric]:
        """Nothing: to register must not need a Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics, or that there are none."""
        try:
            found = [*counters(RedisCounters(self._client).all()), *self._models(), *self._closes()]
        except (redis.RedisError, ValueError, KeyError, TypeError, AttributeError):
            found = []
        yield GaugeMetricFamily("hort_redis_up", "1 while the suite's counters can be read", value=float(bool(found)))
        yield from found

    def _models(self) -> Iterator[Metric]:
        kept = RedisModelStore(self._client)
        active = json.loads(kept.active() or b"{}").get("models", [])
        names = sorted({*kept.all(), *(str(model["name"]) for model in active)})[:MAX_MODELS]
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.hget(keys.breaker(name), "open_until")
        until = {name: int(value or 0) for name, value in zip(names, pipeline.execute(), strict=True)}
        yield from model_metrics(kept.stats(names), open_until=until, now=clock.now_ms())

    def _closes(self) -> Iterator[Metric]:
        journal = keys.journal(pane_store.HOME, pane_store.JOURNAL)
        count = self._client.zcard(journal)
        first = [Reference(name.decode(), journal) for name in self._client.zrange(journal, 0, 0)]
        created = RedisJournal(self._client).created(first[0]) if first else None
        age = 0.0 if created is None else max(0.0, (clock.now_ms() - created) / 1000)
        yield GaugeMetricFamily("hort_close_batches", "Batches of window documents not yet stored", value=count)
        yield GaugeMetricFamily("hort_close_lag_seconds", "Age of the window documents that are stored next", value=age)


def counters(counted: Mapping[str, int]) -> list[Metric]:
    """The counters as metrics; those that mean the same are added up."""
    families: dict[str, tuple[CounterMetricFamily, dict[tuple[str, ...], int], tuple[str, ...]]] = {}
    others = 0
    for name, count in sorted(counted.items()):
        found = meanings.read(name)
        others += found.meaning.metric == meanings.OTHER
        if found.meaning.metric == FEEDS or (found.meaning.metric == meanings.OTHER and others > MAX_OTHERS):
            continue
        labels = tuple(sorted(found.labels))
        metric = meanings.PREFIX + found.meaning.metric
        family = families.setdefault(metric, (CounterMetricFamily(metric, found.meaning.text, labels=labels), {}, labels))
        values = tuple(found.labels[label] for label in family[2])
        family[1][values] = family[1].get(values, 0) + count
    for made, rows, _ in families.values():
        for values, count in rows.items():
            made.add_metric(values, count)
    return [made for made, _, _ in families.values()]


def model_metrics(stats: Numbers, *, open_until: Mapping[str, int], now: int) -> list[Metric]:
    """What is known of each registered model; the numbers of one that is removed go with it."""
    results = CounterMetricFamily("hort_model_results", "Results of a model by status", labels=("model", "status"))
    calls = CounterMetricFamily("hort_model_calls_made", "Calls of a model", labels=("model",))
    retries = CounterMetricFamily("hort_model_retries", "Calls of a model that were made again", labels=("model",))
    seconds = CounterMetricFamily("hort_model_call_seconds", "Time that a model's calls took together", labels=("model",))
    changes = CounterMetricFamily("hort_model_breaker_changes", "Times a model's breaker opened or closed", labels=("model", "to"))
    opened = GaugeMetricFamily("hort_model_breaker_open", "1 while a model's breaker lets no call through", labels=("model",))
    for name, numbers in stats.items():
        for status in _STATUSES:
            results.add_metric((name, status), int(numbers.get(status, 0)))
        calls.add_metric((name,), int(numbers.get("calls", 0)))
        retries.add_metric((name,), int(numbers.get("retries", 0)))
        seconds.add_metric((name,), int(numbers.get("latency_ms", 0)) / 1000)
        for field, to in (("opened", "open"), ("closed", "closed")):
            changes.add_metric((name, to), int(numbers.get(field, 0)))
        opened.add_metric((name,), float(now < open_until.get(name, 0)))
    return [results, calls, retries, seconds, changes, opened]
