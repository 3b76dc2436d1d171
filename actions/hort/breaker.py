"""The circuit breaker of a model: too many failures in a time, and it is left alone for a while.

Its state lies in Redis, so that it holds over containers and activations. Closed: calls are made, failures are noted. Open:
no calls. After `open_s` one caller gets a probe; its success closes the breaker, its failure opens it again
(M. Nygard, Release It!, "Circuit Breaker").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from hort import keys, store
from hort.models import BreakerRule

Gate = Literal["closed", "probe", "open"]
State = Literal["closed", "half-open", "open"]

PROBE_MS = 60_000
"""A probe that never reported (its container died) is given to somebody else after this long."""

_ENTER_LUA = """
local now = tonumber(ARGV[1])
local open_until = tonumber(redis.call('HGET', KEYS[1], 'open_until') or '0')
if open_until == 0 then return 'closed' end
if now < open_until then return 'open' end
if now < tonumber(redis.call('HGET', KEYS[1], 'probe_until') or '0') then return 'open' end
redis.call('HSET', KEYS[1], 'probe_until', now + tonumber(ARGV[2]))
return 'probe'
"""

_FAILED_LUA = """
local now, limit, within, open = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local was_open = redis.call('HEXISTS', KEYS[1], 'open_until') == 1
local kept = {}
for time in string.gmatch(redis.call('HGET', KEYS[1], 'failed') or '', '%d+') do
  if tonumber(time) > now - within then kept[#kept + 1] = time end
end
kept[#kept + 1] = ARGV[1]
local result = 0
if was_open or #kept >= limit then
  redis.call('HSET', KEYS[1], 'open_until', now + open, 'failed', '')
  redis.call('HDEL', KEYS[1], 'probe_until')
  result = 1
else
  redis.call('HSET', KEYS[1], 'failed', table.concat(kept, ' '))
end
redis.call('PEXPIRE', KEYS[1], within + open + tonumber(ARGV[5]))
return result
"""


class Breakers(Protocol):
    """What a keeper of breakers must do; times in milliseconds."""

    def enter(self, name: str, rule: BreakerRule, *, now: int) -> Gate:
        """Whether calls may be made; `probe` goes to one caller, who must report."""

    def failed(self, name: str, rule: BreakerRule, *, now: int) -> bool:
        """Notes a failed call; True where the breaker is open now."""

    def succeeded(self, name: str) -> None:
        """Closes the breaker: the probe came through."""

    def states(self, names: Sequence[str], *, now: int) -> dict[str, State]:
        """The state of each breaker, for people."""


class RedisBreakers:
    """Breakers in Redis, one hash a model."""

    def __init__(self, client: store.Client) -> None:
        self._client = client
        self._enter = client.register_script(_ENTER_LUA)
        self._failed = client.register_script(_FAILED_LUA)

    def enter(self, name: str, rule: BreakerRule, *, now: int) -> Gate:
        """Whether calls may be made."""
        if rule.failures == 0:
            return "closed"
        answer: bytes = self._enter(keys=[keys.breaker(name)], args=[now, PROBE_MS])
        gates: dict[bytes, Gate] = {b"closed": "closed", b"probe": "probe", b"open": "open"}
        return gates[answer]

    def failed(self, name: str, rule: BreakerRule, *, now: int) -> bool:
        """Notes a failed call."""
        if rule.failures == 0:
            return False
        args = [now, rule.failures, round(rule.within_s * 1000), round(rule.open_s * 1000), PROBE_MS]
        return bool(self._failed(keys=[keys.breaker(name)], args=args))

    def succeeded(self, name: str) -> None:
        """Closes the breaker."""
        self._client.delete(keys.breaker(name))

    def states(self, names: Sequence[str], *, now: int) -> dict[str, State]:
        """The state of each breaker."""
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.hget(keys.breaker(name), "open_until")
        return {
            name: _state(int(value or 0), now) for name, value in zip(names, pipeline.execute(), strict=True)
        }


class MemoryBreakers:
    """Breakers of one process, for tests."""

    def __init__(self) -> None:
        self._failures: dict[str, list[int]] = {}
        self._open_until: dict[str, int] = {}
        self._probe_until: dict[str, int] = {}

    def enter(self, name: str, rule: BreakerRule, *, now: int) -> Gate:
        """Whether calls may be made."""
        if rule.failures == 0 or name not in self._open_until:
            return "closed"
        if now < self._open_until[name] or now < self._probe_until.get(name, 0):
            return "open"
        self._probe_until[name] = now + PROBE_MS
        return "probe"

    def failed(self, name: str, rule: BreakerRule, *, now: int) -> bool:
        """Notes a failed call."""
        if rule.failures == 0:
            return False
        recent = [time for time in self._failures.get(name, []) if time > now - round(rule.within_s * 1000)]
        self._failures[name] = [*recent, now]
        if name not in self._open_until and len(recent) + 1 < rule.failures:
            return False
        self._failures[name] = []
        self._open_until[name] = now + round(rule.open_s * 1000)
        self._probe_until.pop(name, None)
        return True

    def succeeded(self, name: str) -> None:
        """Closes the breaker."""
        for part in (self._failures, self._open_until, self._probe_until):
            part.pop(name, None)

    def states(self, names: Sequence[str], *, now: int) -> dict[str, State]:
        """The state of each breaker."""
        return {name: _state(self._open_until.get(name, 0), now) for name in names}


def _state(open_until: int, now: int) -> State:
    if open_until == 0:
        return "closed"
    return "open" if now < open_until else "half-open"
