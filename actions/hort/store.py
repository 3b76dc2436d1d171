"""The Redis connection: one client a process and address, timeouts and retries bounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from hort import config, large_answers, watchdog
from hort.errors import ConfigError

DEFAULT_URL = "redis://127.0.0.1:6379/0"
CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 15.0
RETRIES = 3
SOON_S = 2.0
"""For whoever looks: a Redis that takes longer is told as one that does not answer."""

Client = redis.Redis
AWAY: dict[type[Exception], str] = {redis.RedisError: "Redis"}
"""See `hort.web.served`."""

T = TypeVar("T")


class _Waits(Retry):
    """Whatever is asked of Redis goes through here: a wait, not work."""

    def call_with_retry(self, do: Callable[[], T], *arguments: Any, **options: Any) -> T:
        """See `Retry`."""
        with watchdog.waiting():
            return super().call_with_retry(do, *arguments, **options)


@lru_cache(maxsize=8)
def client(url: str, *, answer_s: float | None = None, retries: int = RETRIES) -> Client:
    """The client of one address; answers are bytes. ConfigError where it is none, without it: a password may be anywhere in it."""
    try:
        found = redis.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S if answer_s is None else answer_s,
            socket_keepalive=True,
            health_check_interval=30,
            retry=_Waits(ExponentialBackoff(cap=0.5, base=0.05), retries),
            retry_on_error=[redis.ConnectionError, redis.TimeoutError],
        )
        return large_answers.use(found)
    except ValueError:
        raise ConfigError("redis_url", None, "must be redis://, rediss:// or unix:// with a host, a port and a number") from None


def now_ms(client: Client) -> int:
    """Milliseconds since the epoch by Redis' clock: the same for all actions, whatever their machines think."""
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def connect(params: dict[str, Any]) -> Client:
    """The client of the address in parameter `redis_url` (environment HORT_REDIS_URL)."""
    return client(config.text(params, "redis_url", default=DEFAULT_URL))


def looked_at(params: dict[str, Any]) -> Client:
    """The same for reads that somebody waits for: not tried again, and not for long."""
    return client(config.text(params, "redis_url", default=DEFAULT_URL), answer_s=SOON_S, retries=0)


def waited_for(params: dict[str, Any], *, method: str) -> Client:
    """The same for a request of a method: a read is `looked_at`; a change is given more time, and not tried again either."""
    if method in {"GET", "HEAD"}:
        return looked_at(params)
    return client(config.text(params, "redis_url", default=DEFAULT_URL), retries=0)
