"""What the dashboard reads from Redis: counters, journals, models with their breakers."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from hort import keys, store
from hort.breaker import Breakers, RedisBreakers
from hort.counters import Counters, RedisCounters
from hort.model_store import ModelStore, RedisModelStore

MAX_JOURNALS = 20
OLDEST_LOOKED_AT = 50
MAX_DESCRIPTION = 200

Panel = dict[str, Any]


class Journals(Protocol):
    """What tells how full the journals are."""

    def usage(self) -> list[Panel]:
        """`trigger`, `batches`, `bytes`, `oldest_ms` (time of the oldest batch, None when empty) of each journal."""


class RedisJournals:
    """The journals of the registered feeds."""

    def __init__(self, client: store.Client, *, partitions: int = 1) -> None:
        self._client = client
        self._partitions = partitions

    def usage(self) -> list[Panel]:
        """One row a registration and partition."""
        found: Any = self._client.hgetall(keys.REGISTRATIONS)
        return [
            {"trigger": _trigger(raw), **self._one(partition, registration.decode())}
            for registration, raw in sorted(found.items())[:MAX_JOURNALS]
            for partition in range(self._partitions)
        ]

    def _one(self, partition: int, registration: str) -> Panel:
        journal = keys.journal(partition, registration)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zcard(journal)
        pipeline.get(keys.journal_bytes(journal))
        pipeline.zrange(journal, 0, OLDEST_LOOKED_AT - 1)
        batches, size, ids = pipeline.execute()
        return {"batches": int(batches), "bytes": int(size or 0), "oldest_ms": self._oldest(partition, ids)}

    def _oldest(self, partition: int, ids: list[bytes]) -> int | None:
        pipeline = self._client.pipeline(transaction=False)
        for batch_id in ids:
            pipeline.hget(keys.batch(partition, batch_id.decode()), "created_ms")
        return min((int(created) for created in pipeline.execute() if created), default=None)


def _trigger(raw: bytes) -> str:
    try:
        return str(orjson.loads(raw).get("trigger", ""))
    except (ValueError, AttributeError):
        return ""


class State:
    """Everything from Redis that the page shows."""

    def __init__(
        self, *, counters: Counters, journals: Journals, models: ModelStore, breakers: Breakers
    ) -> None:
        self._counters = counters
        self._journals = journals
        self._models = models
        self._breakers = breakers

    @classmethod
    def of(cls, client: store.Client, *, partitions: int) -> State:
        """The state in one Redis."""
        return cls(
            counters=RedisCounters(client),
            journals=RedisJournals(client, partitions=partitions),
            models=RedisModelStore(client),
            breakers=RedisBreakers(client),
        )

    def counters(self) -> dict[str, int]:
        """Every counter by name."""
        return dict(sorted(self._counters.all().items()))

    def journals(self) -> list[Panel]:
        """How full the journals are."""
        return self._journals.usage()

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
        return {"rows": rows, "polled_at": active.get("polled_at"), "last_error": active.get("last_error")}


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
