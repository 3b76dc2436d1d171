"""What the dashboard reads from Redis: counters, feeds with their journals, models with their breakers."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from hort import keys, store, urls
from hort.breaker import Breakers, RedisBreakers
from hort.counters import Counters, RedisCounters
from hort.dashboard import trouble
from hort.journal import RedisJournal
from hort.model_store import ModelStore, RedisModelStore

MAX_FEEDS = 20
MAX_DESCRIPTION = 200
_REPORTED = ("connected", "problem", "hold", "fires", "refires", "full", "held_back_since", "stuck")

Panel = dict[str, Any]


class Feeds(Protocol):
    """What tells how the feeds are."""

    def all(self, *, now: int) -> list[Panel]:
        """`trigger`, `active`, `reason`, `connected`, `problem`, `hold`, `fires`, `refires`, and of its journal `batches`,
        `bytes`, `in_flight`, `oldest_ms` (0: empty), for each feed; what its provider has not reported is None. `changed` is when
        it was last switched on or off (ms), `status_code` OpenWhisk's answer that switched it off, `full`, `stuck` and
        `held_back_since` (ms; 0: the broker can deliver) as reported.
        """


class RedisFeeds:
    """The registered feeds, what their providers report, and their journals."""

    def __init__(self, client: store.Client, *, partitions: int = 1) -> None:
        self._client = client
        self._journal = RedisJournal(client)
        self._partitions = partitions

    def all(self, *, now: int) -> list[Panel]:
        """One row a registration that was not deleted."""
        found: Any = self._client.hgetall(keys.REGISTRATIONS)
        known = {name.decode(): orjson.loads(raw) for name, raw in sorted(found.items())[:MAX_FEEDS]}
        return [
            {**_registered(value), **self._reported(name), **self._usage(name, now)}
            for name, value in known.items()
            if not value.get("deleted_at")
        ]

    def _reported(self, registration: str) -> Panel:
        raw: Any = self._client.get(keys.runtime(registration))
        facts = orjson.loads(raw) if raw else {}
        return {name: _shown(facts.get(name)) for name in _REPORTED}

    def _usage(self, registration: str, now: int) -> Panel:
        journals = [keys.journal(partition, registration) for partition in range(self._partitions)]
        usages = [self._journal.usage(journal, now=now) for journal in journals]
        return {
            "batches": sum(usage.count for usage in usages),
            "bytes": sum(usage.bytes for usage in usages),
            "in_flight": sum(usage.in_flight for usage in usages),
            "oldest_ms": min((usage.oldest_ms for usage in usages if usage.oldest_ms), default=0),
        }


def _registered(value: Panel) -> Panel:
    reason = value.get("reason")
    text = reason.get("message") if isinstance(reason, dict) else reason
    return {
        "trigger": str(value.get("trigger", "")),
        "active": value.get("active", True),
        "reason": _shown(str(text or "")[:MAX_DESCRIPTION]),
        "status_code": reason.get("statusCode") if isinstance(reason, dict) else None,
        "changed": value.get("date_changed"),
    }


def _shown(fact: Any) -> Any:
    """A fact as anybody may see it."""
    return urls.without_addresses(fact) if isinstance(fact, str) else fact


class State:
    """Everything from Redis that the page shows."""

    def __init__(self, *, counters: Counters, feeds: Feeds, models: ModelStore, breakers: Breakers) -> None:
        self._counters = counters
        self._feeds = feeds
        self._models = models
        self._breakers = breakers

    @classmethod
    def of(cls, client: store.Client, *, partitions: int) -> State:
        """The state in one Redis."""
        return cls(
            counters=RedisCounters(client),
            feeds=RedisFeeds(client, partitions=partitions),
            models=RedisModelStore(client),
            breakers=RedisBreakers(client),
        )

    def counters(self) -> Panel:
        """`counters`: each by name; `trouble`: those that tell of it, see `hort.dashboard.trouble`."""
        found = dict(sorted(self._counters.all().items()))
        return {"counters": found, "trouble": trouble.rows(found, self._counters.last())}

    def feeds(self, *, now: int) -> list[Panel]:
        """How the feeds are and how full their journals."""
        return self._feeds.all(now=now)

    def models(self, *, now: int) -> Panel:
        """Registered models, which of them the scorer uses, the state of their breakers, and how the last poll went."""
        active = orjson.loads(self._models.active() or b"{}")
        used = {model["name"]: model for model in active.get("models", [])}
        known = {name: orjson.loads(raw) for name, raw in self._models.all().items()}
        merged = {**used, **known}
        breakers = self._breakers.states(list(merged), now=now)
        rows = [
            _model(name, merged[name], in_use=name in used, breaker=breakers[name]) for name in sorted(merged)
        ]
        return {"rows": rows, "polled_at": active.get("polled_at"), "last_error": _shown(active.get("last_error"))}


def _model(name: str, model: Panel, *, in_use: bool, breaker: str) -> Panel:
    return {
        "name": name,
        "url": shown_url(str(model.get("url", ""))),
        "version": model.get("version"),
        "mode": model.get("mode", "active"),
        "enabled": model.get("enabled", True),
        "device_types": model.get("device_types", ["*"]),
        "description": str(model.get("description", ""))[:MAX_DESCRIPTION],
        "in_use": in_use,
        "breaker": breaker,
    }


def shown_url(url: str) -> str:
    """A URL without what may hold a secret: user, password, query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
