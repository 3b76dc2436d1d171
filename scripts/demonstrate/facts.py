"""What the demo shows and sums up: read from Elasticsearch, Redis, the provider and the engine, never from the demo's own memory."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import redis
import requests
from elasticsearch import ApiError, TransportError

from demonstrate.whisk import Whisk
from hort import elastic

INDICES = ("all-events", "analytics", "model-results", "dead-letters", "alarms")
TRIGGERS = ("device-events", "window-tick", "model-poll", "divvy-poll")
INVOKED = (
    "hort/stream", "hort/close-windows", "hort/poll-models", "hort/divvy",
    "hort/models", "hort/dashboard", "hort/echo-model", "hort/anomaly-model",
)  # fmt: skip
COUNTERS = "hort:{stats}:counters"
POLL_FAILED = "divvy.poll-failed."
_METRIC = re.compile(r"^hort_provider_refires_total(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)
_UNCONNECTED = re.compile(r'^hort_provider_mqtt_connected\{registration="([^"]*)"\} 0(?:\.0)?$', re.MULTILINE)


@dataclass(frozen=True)
class Facts:
    """One look at the running suite; counts since the beginning, `at` in seconds."""

    at: float = 0.0
    published: int = 0
    documents: Mapping[str, int] = field(default_factory=dict)
    windows: int = 0
    results: Mapping[str, int] = field(default_factory=dict)
    by_model: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    waiting: int = 0
    fires: int = 0
    invocations: int = 0
    refires: int = 0
    last_windows: tuple[Mapping[str, Any], ...] = ()
    polls_failed: Mapping[str, int] = field(default_factory=dict)
    unconnected: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def trouble(self) -> str:
        """Polls of the data source that failed, by reason, and feeds that have no broker; empty where all is well."""
        told = ["polls of the bike share that failed: " + ", ".join(f"{why} {count}" for why, count in self.polls_failed.items())] if self.polls_failed else []
        return "; ".join(told + [f"the broker of {name} does not answer its feed, which keeps trying" for name in self.unconnected])


class Reader:
    """Reads facts; of a part that does not answer the last ones stay, and `problems` names it and says how old they are."""

    def __init__(self, *, elasticsearch_url: str, redis_url: str, provider_url: str, whisk: Whisk) -> None:
        self._search = elastic.connect({"elasticsearch_url": elasticsearch_url}).client
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=5)
        self._provider_url = provider_url
        self._whisk = whisk
        self._known: dict[str, Any] = {}
        self._heard: dict[str, float] = {}

    def read(self, *, refreshed: bool = False) -> Facts:
        """The facts now; `refreshed`: with everything written so far."""
        now = time.monotonic()
        problems = []
        for name, part in (
            ("Redis", self._from_redis),
            ("Elasticsearch", self._from_refreshed if refreshed else self._from_elasticsearch),
            ("provider", self._from_provider),
            ("engine", self._from_engine),
        ):
            try:
                self._known |= part()
                self._heard[name] = now
            except (redis.RedisError, ApiError, TransportError, requests.RequestException, RuntimeError) as error:
                age = f"what it holds is {now - self._heard[name]:.0f} s old" if name in self._heard else "what it holds is not known"
                problems.append(f"{name} ({age}): {str(error).splitlines()[0][:120]}")
        return Facts(at=now, **self._known, problems=tuple(problems))

    def closing(self) -> bool:
        """Whether windows are being closed or written at this moment: somebody has the turn, or documents wait."""
        turns = self._redis.scan_iter("hort:{*}:win:turn", count=1000)
        journals = self._redis.scan_iter("hort:{*}:journal:close", count=1000)
        return any(True for _ in turns) or any(self._redis.zcard(key) for key in journals)

    def _from_redis(self) -> dict[str, Any]:
        rows: Any = self._redis.hgetall(COUNTERS)
        counted = {name.decode(): int(count) for name, count in rows.items()}
        failed = {name.removeprefix(POLL_FAILED): count for name, count in counted.items() if name.startswith(POLL_FAILED)}
        journals = self._redis.scan_iter("hort:{*}:journal:*", count=1000, _type="zset")
        waiting = sum(int(self._redis.zcard(key)) for key in journals)
        return {"published": counted.get("divvy.published", 0), "waiting": waiting, "polls_failed": failed}

    def _from_refreshed(self) -> dict[str, Any]:
        self._search.indices.refresh(index=",".join(INDICES), ignore_unavailable=True, allow_no_indices=True)
        return self._from_elasticsearch()

    def _from_elasticsearch(self) -> dict[str, Any]:
        there: dict[str, Any] = {"ignore_unavailable": True, "allow_no_indices": True}
        documents = {index: self._count(index) for index in INDICES}
        results = self._search.search(
            index="model-results",
            size=0,
            aggs={"models": {"terms": {"field": "model", "size": 50}, "aggs": {"statuses": {"terms": {"field": "status"}}}}},
            **there,
        )
        windows = self._search.search(
            index="analytics",
            size=3,
            query={"term": {"level": "device_type"}},
            sort=[{"window_end": {"order": "desc", "unmapped_type": "date"}}],
            aggs={"windows": {"cardinality": {"field": "window_end", "precision_threshold": 10_000}}},
            **there,
        )
        models = {
            row["key"]: {status["key"]: status["doc_count"] for status in row["statuses"]["buckets"]}
            for row in results.get("aggregations", {}).get("models", {}).get("buckets", [])
        }
        statuses: dict[str, int] = {}
        for counts in models.values():
            for status, count in counts.items():
                statuses[status] = statuses.get(status, 0) + count
        return {
            "documents": documents,
            "by_model": models,
            "results": statuses,
            "windows": int(windows.get("aggregations", {}).get("windows", {}).get("value", 0)),
            "last_windows": tuple(hit["_source"] for hit in windows["hits"]["hits"]),
        }

    def _count(self, index: str) -> int:
        """How many documents an index holds; RuntimeError where there is none any more to answer: closed, or deleted."""
        found = self._search.count(index=index, ignore_unavailable=True, allow_no_indices=True)
        if not found["_shards"]["total"] and self._known.get("documents", {}).get(index):
            raise RuntimeError(f"index {index} is closed or gone")
        return int(found["count"])

    def _from_provider(self) -> dict[str, Any]:
        text = requests.get(f"{self._provider_url}/metrics", timeout=5).text
        return {"refires": int(sum(float(value) for value in _METRIC.findall(text))), "unconnected": tuple(_UNCONNECTED.findall(text))}

    def _from_engine(self) -> dict[str, Any]:
        return {
            "fires": sum(self._whisk.count(name) for name in TRIGGERS),
            "invocations": sum(self._whisk.count(name) for name in INVOKED),
        }


def since(now: Facts, before: Facts) -> dict[str, Any]:
    """The summary: what happened between two looks."""
    return {
        "published": now.published - before.published,
        "ingested": now.documents.get("all-events", 0) - before.documents.get("all-events", 0),
        "documents": {index: now.documents.get(index, 0) - before.documents.get(index, 0) for index in INDICES},
        "windows": now.windows - before.windows,
        "results": {
            status: count - before.results.get(status, 0)
            for status, count in now.results.items()
            if count > before.results.get(status, 0)
        },
        "dead_letters": now.documents.get("dead-letters", 0) - before.documents.get("dead-letters", 0),
        "fires": now.fires - before.fires,
        "invocations": now.invocations - before.invocations,
        "refires": now.refires - before.refires,
    }
