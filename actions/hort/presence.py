"""Which devices there are: newest record of each, the silent ones apart, their number bounded by device type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from hort import keys, store
from hort.panes import Identity

CHUNK = 1_000
"""Members a command: Redis serves others in between."""


def member(identity: Identity) -> bytes:
    """A device of a known type in the sets: JSON [id, event]."""
    return b"%b" % orjson.dumps(identity)  # a copy: what orjson made keeps the 4 kB that it was written into


class Presence(Protocol):
    """What a store of presence must do; members are those of `member`, times are milliseconds."""

    def admit(
        self,
        partition: int,
        device_type: str,
        newest: Mapping[bytes, int],
        *,
        max_devices: int,
        max_types: int,
    ) -> set[bytes] | None:
        """Notes new devices; the ones that are too many, or None where the device type itself is one too many."""

    def types(self, partition: int) -> list[str]:
        """The device types there are."""

    def silent(self, partition: int, device_type: str, members: Sequence[bytes]) -> set[bytes]:
        """Those of the members that are silent."""

    def saw(self, partition: int, device_type: str, newest: Mapping[bytes, int]) -> None:
        """Moves on the newest time of active devices."""

    def overdue(
        self, partition: int, device_type: str, before: int, *, limit: int
    ) -> list[tuple[bytes, int]]:
        """Active devices with no record since `before`, and their newest time."""

    def forget(self, partition: int, device_type: str, before: int) -> int:
        """Forgets devices with no record since `before`, and the type when none is left; how many they were."""


_ADMIT_LUA = """
local function known(m) return redis.call('ZSCORE', KEYS[2], m) or redis.call('ZSCORE', KEYS[3], m) end
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then
  if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[3]) then return false end
  redis.call('SADD', KEYS[1], ARGV[1])
end
local room = tonumber(ARGV[2]) - redis.call('ZCARD', KEYS[2]) - redis.call('ZCARD', KEYS[3])
local refused = {}
for i = 4, #ARGV, 2 do
  if not known(ARGV[i]) then
    if room > 0 then
      redis.call('ZADD', KEYS[2], ARGV[i + 1], ARGV[i])
      room = room - 1
    else
      refused[#refused + 1] = ARGV[i]
    end
  end
end
return refused
"""

_FORGET_LUA = """
local gone = redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[2])
  + redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. ARGV[2])
if redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3]) == 0 then redis.call('SREM', KEYS[1], ARGV[1]) end
return gone
"""


class RedisPresence:
    """Presence in two sorted sets a device type."""

    def __init__(self, client: store.Client) -> None:
        self._client: Any = client
        self._admit = client.register_script(_ADMIT_LUA)
        self._forget = client.register_script(_FORGET_LUA)

    @staticmethod
    def _keys(partition: int, device_type: str) -> list[str]:
        names = ("types", f"active:{device_type}", f"silent:{device_type}")
        return [keys.window(partition, name) for name in names]

    def admit(
        self,
        partition: int,
        device_type: str,
        newest: Mapping[bytes, int],
        *,
        max_devices: int,
        max_types: int,
    ) -> set[bytes] | None:
        """Notes new devices, a chunk a script."""
        refused: set[bytes] = set()
        items = list(newest.items())
        for first in range(0, len(items), CHUNK):
            flat = [part for item in items[first : first + CHUNK] for part in item]
            args = [device_type, max_devices, max_types, *flat]
            answer = self._admit(keys=self._keys(partition, device_type), args=args)
            if answer is None:
                return None
            refused.update(answer)
        return refused

    def types(self, partition: int) -> list[str]:
        """The device types there are."""
        return sorted(name.decode() for name in self._client.smembers(keys.window(partition, "types")))

    def silent(self, partition: int, device_type: str, members: Sequence[bytes]) -> set[bytes]:
        """The silent ones; one command where there are none."""
        name = keys.window(partition, f"silent:{device_type}")
        if not members or not self._client.exists(name):
            return set()
        pipeline = self._client.pipeline(transaction=False)
        for first in range(0, len(members), CHUNK):
            pipeline.zmscore(name, list(members[first : first + CHUNK]))
        scores = [score for part in pipeline.execute() for score in part]
        return {item for item, score in zip(members, scores, strict=True) if score is not None}

    def saw(self, partition: int, device_type: str, newest: Mapping[bytes, int]) -> None:
        """Moves scores on, never back."""
        name = keys.window(partition, f"active:{device_type}")
        items = list(newest.items())
        pipeline = self._client.pipeline(transaction=False)
        for first in range(0, len(items), CHUNK):
            pipeline.zadd(name, dict(items[first : first + CHUNK]), gt=True)
        if items:
            pipeline.sadd(keys.window(partition, "types"), device_type)
        pipeline.execute()

    def overdue(
        self, partition: int, device_type: str, before: int, *, limit: int
    ) -> list[tuple[bytes, int]]:
        """The longest silent first."""
        name = keys.window(partition, f"active:{device_type}")
        rows = self._client.zrangebyscore(name, "-inf", f"({before}", start=0, num=limit, withscores=True)
        return [(item, int(score)) for item, score in rows]

    def forget(self, partition: int, device_type: str, before: int) -> int:
        """Forgets in one script."""
        return int(self._forget(keys=self._keys(partition, device_type), args=[device_type, before]))
