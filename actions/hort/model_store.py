"""Where models are kept: the registry itself, the list the scorer uses, and what is known of each model's calls."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from hort import counters, keys, store

Outcome = Literal["ok", "changed", "full"]
Stats = dict[str, str]

_REPLACE_LUA = """
local old = redis.call('HGET', KEYS[1], ARGV[1])
if (old or '') ~= ARGV[2] then return 'changed' end
if not old and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'ok'
"""
_ACTIVE_LUA = """
if tonumber(redis.call('HGET', KEYS[2], 'written') or '0') > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], 'written', ARGV[2])
if tonumber(redis.call('HGET', KEYS[2], 'begun') or '0') < tonumber(ARGV[2]) then redis.call('HSET', KEYS[2], 'begun', ARGV[2]) end
return 1
"""
_KEEP_LUA = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""
_ADD_LUA = """
if not redis.call('SET', KEYS[2], '', 'NX', 'EX', ARGV[1]) then return 0 end
for i = 4, #ARGV, 2 do
  if i < 4 + tonumber(ARGV[3]) then
    redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""
STATS_TTL_S = 7 * 86_400


class ModelStore(Protocol):
    """What a model store must do; models are JSON bytes."""

    def all(self) -> dict[str, bytes]:
        """Every registered model by name."""

    def get(self, name: str) -> bytes | None:
        """One registered model."""

    def replace(self, name: str, *, expected: bytes | None, value: bytes, limit: int) -> Outcome:
        """Writes a model if it is still what was expected (None: not there) and no more than `limit` are held."""

    def delete(self, name: str) -> bool:
        """Forgets a model and what is known of its calls; False where there was none."""

    def active(self) -> bytes | None:
        """What the last poll left for the scorer."""

    def begin_poll(self) -> int:
        """The number of a poll that reads the registry from now on: more than those of all before."""

    def set_active(self, value: bytes, *, poll: int) -> bool:
        """Replaces what the scorer uses; False, and nothing is replaced, where a poll that began later has done so."""

    def keep_active(self, value: bytes, *, expected: bytes | None) -> bool:
        """Writes what a failed poll makes of the list it found; False, and nothing is written, where it is another one by now."""

    def add_stats(self, name: str, *, counts: Mapping[str, int], facts: Mapping[str, str]) -> None:
        """Adds counts to a model's numbers and replaces its facts."""

    def stats(self, names: Sequence[str]) -> dict[str, Stats]:
        """Each model's numbers and facts as text."""


class RedisModelStore:
    """The model store in Redis; all its keys share one slot."""

    def __init__(self, client: store.Client) -> None:
        self._client = client
        self._replace = client.register_script(_REPLACE_LUA)
        self._set_active = client.register_script(_ACTIVE_LUA)
        self._keep_active = client.register_script(_KEEP_LUA)
        self._add = client.register_script(_ADD_LUA)

    def all(self) -> dict[str, bytes]:
        """Every registered model by name."""
        found: dict[Any, Any] = self._client.hgetall(keys.MODELS)
        return {name.decode(): value for name, value in found.items()}

    def get(self, name: str) -> bytes | None:
        """One registered model."""
        found: Any = self._client.hget(keys.MODELS, name)
        return found if found is None else bytes(found)

    def replace(self, name: str, *, expected: bytes | None, value: bytes, limit: int) -> Outcome:
        """Compares and writes in one step."""
        answer: bytes = self._replace(keys=[keys.MODELS], args=[name, expected or b"", value, limit])
        outcomes: dict[bytes, Outcome] = {b"ok": "ok", b"changed": "changed", b"full": "full"}
        return outcomes[answer]

    def delete(self, name: str) -> bool:
        """Forgets a model, its breaker and its numbers."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hdel(keys.MODELS, name)
        pipeline.delete(keys.breaker(name), keys.model_stats(name))
        return bool(pipeline.execute()[0])

    def active(self) -> bytes | None:
        """What the last poll left for the scorer."""
        found: Any = self._client.get(keys.MODELS_ACTIVE)
        return found if found is None else bytes(found)

    def begin_poll(self) -> int:
        """Counts one up."""
        found: Any = self._client.hincrby(keys.MODELS_POLLS, "begun", 1)
        return int(found)

    def set_active(self, value: bytes, *, poll: int) -> bool:
        """Compares the polls and replaces in one step; polls that begin after Redis lost their count go on from there."""
        return bool(self._set_active(keys=[keys.MODELS_ACTIVE, keys.MODELS_POLLS], args=[value, poll]))

    def keep_active(self, value: bytes, *, expected: bytes | None) -> bool:
        """Compares and writes in one step."""
        return bool(self._keep_active(keys=[keys.MODELS_ACTIVE], args=[expected or b"", value]))

    def add_stats(self, name: str, *, counts: Mapping[str, int], facts: Mapping[str, str]) -> None:
        """Adds and replaces in one script, once though the client sends it again (see `hort.counters`)."""
        found = [part for field, count in counts.items() if count for part in (field, count)]
        replaced = [part for field, fact in facts.items() for part in (field, fact)]
        names = [keys.model_stats(name), keys.model_counted(secrets.token_hex(8))]
        self._add(keys=names, args=[counters.KEPT_S, STATS_TTL_S, len(found), *found, *replaced])

    def stats(self, names: Sequence[str]) -> dict[str, Stats]:
        """Each model's numbers and facts as text."""
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.hgetall(keys.model_stats(name))
        rows = zip(names, pipeline.execute(), strict=True)
        return {name: {field.decode(): value.decode() for field, value in row.items()} for name, row in rows}


class MemoryModelStore:
    """A model store of one process, for tests."""

    def __init__(self) -> None:
        self._models: dict[str, bytes] = {}
        self._active: bytes | None = None
        self._begun = self._written = 0
        self._stats: dict[str, Stats] = {}

    def all(self) -> dict[str, bytes]:
        """Every registered model by name."""
        return dict(self._models)

    def get(self, name: str) -> bytes | None:
        """One registered model."""
        return self._models.get(name)

    def replace(self, name: str, *, expected: bytes | None, value: bytes, limit: int) -> Outcome:
        """Compares and writes."""
        if self._models.get(name) != expected:
            return "changed"
        if expected is None and len(self._models) >= limit:
            return "full"
        self._models[name] = value
        return "ok"

    def delete(self, name: str) -> bool:
        """Forgets a model and its numbers."""
        self._stats.pop(name, None)
        return self._models.pop(name, None) is not None

    def active(self) -> bytes | None:
        """What the last poll left for the scorer."""
        return self._active

    def begin_poll(self) -> int:
        """Counts one up."""
        self._begun += 1
        return self._begun

    def set_active(self, value: bytes, *, poll: int) -> bool:
        """Compares the polls and replaces."""
        if self._written > poll:
            return False
        self._active, self._written, self._begun = value, poll, max(self._begun, poll)
        return True

    def keep_active(self, value: bytes, *, expected: bytes | None) -> bool:
        """Compares and writes."""
        if self._active != expected:
            return False
        self._active = value
        return True

    def add_stats(self, name: str, *, counts: Mapping[str, int], facts: Mapping[str, str]) -> None:
        """Adds and replaces."""
        row = self._stats.setdefault(name, {})
        for field, count in counts.items():
            if count:
                row[field] = str(int(row.get(field, "0")) + count)
        row.update(facts)

    def stats(self, names: Sequence[str]) -> dict[str, Stats]:
        """Each model's numbers and facts as text."""
        return {name: dict(self._stats.get(name, {})) for name in names}
