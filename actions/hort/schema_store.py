"""Inferred schemas in Redis: append-only, the first to bring a field decides, cached in the process for a while."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from hort import keys, store
from hort.schema import MAX_DEVICE_TYPES, MAX_FIELDS_PER_TYPE, Known, TypeSchema, Unknown

CACHE_S = 60.0
"""A process reads a schema again after this long, so that one that was lost with its Redis is built anew."""
_FULL = ""
"""A field name that no record can have: its presence in a cached hash marks a schema that may not grow."""

# KEYS: the schema, the set of types. ARGV: device type, most fields, most types, then field, kind, field, kind ...
# Numeric fields are numbered without gaps, in the order in which they came.
_EXTEND_LUA = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 0 and redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[3]) then
    return {'', ''}
  end
  redis.call('SADD', KEYS[2], ARGV[1])
end
local size, numeric = 0, 0
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
  size = size + 1
  if cjson.decode(value)['type'] == 'Numeric' then numeric = numeric + 1 end
end
for place = 4, #ARGV, 2 do
  if size >= tonumber(ARGV[2]) then break end
  local entry = {type = ARGV[place + 1], order = size}
  if entry.type == 'Numeric' then entry.index = numeric end
  if redis.call('HSETNX', KEYS[1], ARGV[place], cjson.encode(entry)) == 1 then
    size = size + 1
    if entry.type == 'Numeric' then numeric = numeric + 1 end
  end
end
return redis.call('HGETALL', KEYS[1])
"""


class RedisSchemas:
    """The inferred schemas of one partition."""

    def __init__(
        self, client: store.Client, partition: int, *, max_fields: int = MAX_FIELDS_PER_TYPE
    ) -> None:
        self._client = client
        self._partition = partition
        self._max_fields = max_fields
        self._extend = client.register_script(_EXTEND_LUA)

    def load(self, device_types: list[str]) -> dict[str, TypeSchema]:
        """The schemas of these types in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for device_type in device_types:
            pipeline.hgetall(keys.schema(self._partition, device_type))
        found = zip(device_types, pipeline.execute(), strict=True)
        return {device_type: _type_schema(fields, self._max_fields) for device_type, fields in found}

    def extend(self, unknown: Unknown) -> dict[str, TypeSchema]:
        """Adds fields where nobody else did so first; one call a device type."""
        return {name: self._extend_type(name, fields) for name, fields in unknown.items()}

    def _extend_type(self, device_type: str, fields: dict[str, str]) -> TypeSchema:
        places = [keys.schema(self._partition, device_type), keys.schema_types(self._partition)]
        flat: list[str | int] = [device_type, self._max_fields, MAX_DEVICE_TYPES]
        for name, kind in fields.items():
            flat += (name, kind)
        answer = self._extend(keys=places, args=flat)
        return _type_schema(dict(zip(answer[::2], answer[1::2], strict=True)), self._max_fields)


def _type_schema(fields: dict[bytes, bytes], max_fields: int) -> TypeSchema:
    """The schema from its hash; closed where it is full or where Redis refused one more device type."""
    if _FULL.encode() in fields:
        return TypeSchema(open=False)
    rows = sorted(
        (json.loads(entry)["order"], name.decode(), json.loads(entry)["type"])
        for name, entry in fields.items()
    )
    return TypeSchema({name: kind for _, name, kind in rows}, open=len(rows) < max_fields)


class CachedSchemas:
    """Schemas kept in this process for `CACHE_S`; at most `MAX_DEVICE_TYPES` of them."""

    def __init__(self, inner: RedisSchemas, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner = inner
        self._clock = clock
        self._until: dict[str, float] = {}
        self._known: dict[str, TypeSchema] = {}

    def known(self) -> Known:
        """The schemas this process has met; those it read a while ago are read again."""
        now = self._clock()
        stale = [name for name, until in self._until.items() if until <= now]
        if stale:
            self._keep(self._inner.load(stale), now)
        return self._known

    def extend(self, unknown: Unknown) -> dict[str, TypeSchema]:
        """Adds fields, see `hort.schema.Schemas`."""
        found = self._inner.extend(unknown)
        self._keep(found, self._clock())
        return found

    def _keep(self, found: dict[str, TypeSchema], now: float) -> None:
        if len(self._known) + len(found) > MAX_DEVICE_TYPES:
            self._known.clear()
            self._until.clear()
        self._known.update(found)
        self._until.update(dict.fromkeys(found, now + CACHE_S))
