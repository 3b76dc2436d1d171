"""Leases: each registration has one provider at a time; a dead one's is free after its lease has run out."""

from __future__ import annotations

from typing import Any, Protocol

from hort import keys, store

LEASE_MS = 10_000
"""How long a lease lasts unless it is renewed; take-over needs this and one tick."""
ALIVE_MS = 15_000

# Times of Redis alone: providers whose clocks differ would forget each other, or count one that died with a clock ahead for long.
_BEAT_LUA = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
redis.call('ZADD', KEYS[1], now, ARGV[1])
return redis.call('ZCARD', KEYS[1])
"""
_RENEW_LUA = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
if not owner and redis.call('HGET', KEYS[2], ARGV[3]) ~= ARGV[4] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE_LUA = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
# The field '*' is no registration: it holds the greatest token of all.
_NEXT_LUA = """
local all = tonumber(redis.call('HGET', KEYS[1], '*') or '0')
local mine = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local token = math.max(all, mine) + 1
redis.call('HSET', KEYS[1], '*', token, ARGV[1], token)
return token
"""


class Leases(Protocol):
    """What a store of leases must do."""

    def beat(self) -> int:
        """This provider is alive; how many providers are."""

    def acquire(self, registration: str) -> int | None:
        """Takes a free lease: the fencing token, greater than any before; None where somebody has it."""

    def renew(self, registration: str, token: int) -> bool:
        """Extends the lease, also one that ran out and that nobody took meanwhile; False where another one has or had it."""

    def release(self, registration: str) -> None:
        """Gives the lease up, if it is this provider's."""

    def leave(self) -> None:
        """This provider ends."""


class RedisLeases:
    """Leases in Redis."""

    def __init__(self, client: store.Client, provider: str) -> None:
        self._client: Any = client
        self._provider = provider
        self._beat = self._client.register_script(_BEAT_LUA)
        self._renew = self._client.register_script(_RENEW_LUA)
        self._release = self._client.register_script(_RELEASE_LUA)
        self._next = self._client.register_script(_NEXT_LUA)

    def beat(self) -> int:
        """Notes the time, drops providers that have not been seen."""
        return int(self._beat(keys=[keys.PROVIDERS], args=[self._provider, ALIVE_MS]))

    def acquire(self, registration: str) -> int | None:
        """SET NX, then a token above all that were given out: a feed that is removed and made anew must not meet an old owner's."""
        if not self._client.set(keys.lease(registration), self._provider, nx=True, px=LEASE_MS):
            return None
        return int(self._next(keys=[keys.FENCES], args=[registration]))

    def renew(self, registration: str, token: int) -> bool:
        """Compares, then extends: each who takes a lease is given a new token, so the last one given out tells."""
        names = [keys.lease(registration), keys.FENCES]
        return bool(self._renew(keys=names, args=[self._provider, LEASE_MS, registration, token]))

    def release(self, registration: str) -> None:
        """Compares, then deletes."""
        self._release(keys=[keys.lease(registration)], args=[self._provider])

    def leave(self) -> None:
        """Forgets this provider."""
        self._client.zrem(keys.PROVIDERS, self._provider)
