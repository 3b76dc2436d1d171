"""The batches on their way, seen from outside: what the provider fires, so that the campaign can fire it again."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from typing import Any

import redis

from campaign.repeated import Repeated

LOOK_EVERY_S = 0.1
REMEMBERED = 2_000
JOURNALS = "hort:{*}:journal:????????????????"


class Batches:
    """Looks at the journals all the time; remembers the newest batches, also when they are stored."""

    def __init__(self, redis_url: str) -> None:
        self._client: Any = redis.Redis.from_url(redis_url, socket_timeout=5, decode_responses=True)
        self._seen: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._looking = Repeated("batches", LOOK_EVERY_S, self._look)

    def under_way(self) -> list[dict[str, Any]]:
        """Payloads of the batches that are journalled now and not stored; empty where Redis is away."""
        with contextlib.suppress(redis.RedisError):
            return self._journalled()
        return []

    def journalled(self) -> int | None:
        """How many batches there are; None where Redis is away."""
        with contextlib.suppress(redis.RedisError):
            return sum(int(self._client.zcard(journal)) for journal in self._client.scan_iter(match=JOURNALS, count=1000))
        return None

    def seen(self) -> list[dict[str, Any]]:
        """Payloads of batches that were journalled some time ago, stored or not."""
        with self._lock:
            return list(self._seen.values())

    def close(self) -> None:
        """Ends the thread."""
        self._looking.close()
        self._client.close()

    def _look(self) -> None:
        with contextlib.suppress(redis.RedisError):
            self._remember(self._journalled())

    def _remember(self, payloads: list[dict[str, Any]]) -> None:
        with self._lock:
            for payload in payloads:
                self._seen.setdefault(payload["batch_id"], payload)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)

    def _journalled(self) -> list[dict[str, Any]]:
        found = []
        for journal in self._client.scan_iter(match=JOURNALS, count=1000):
            partition = journal.partition("}")[0] + "}"
            for batch_id in self._client.zrange(journal, 0, 99):
                count, size = self._client.hmget(f"{partition}:batch:{batch_id}", "count", "bytes")
                if count:
                    found.append({"batch_id": batch_id, "count": int(count), "bytes": int(size), "journal": journal})
        return found
