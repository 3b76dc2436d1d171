"""What is left of a registration in one partition is dropped for good: bit by bit, so that Redis serves others between.

Each bit is one script that looks at the fence first: a provider that stood still meanwhile drops nothing of what another one
serves by then. Whoever is killed half way is followed by another one, which begins again.
"""

from __future__ import annotations

from typing import Any

from hort import keys, store
from hort.batch import Reference
from hort.errors import Fenced

_AT_ONCE = 100
_SHOWN_BATCHES = 20

_FENCE = """
local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
if newest > tonumber(ARGV[1]) then return -1 end
"""
_BATCHES_LUA = f"""{_FENCE}
redis.call('SET', KEYS[1], ARGV[1])
local dropped = 0
for at = 2, #ARGV do
  local place = 2 * at
  local size = redis.call('HGET', KEYS[place], 'bytes')
  if size then redis.call('DECRBY', KEYS[3], size) end
  dropped = dropped + redis.call('UNLINK', KEYS[place])
  redis.call('UNLINK', KEYS[place + 1])
  redis.call('ZREM', KEYS[2], ARGV[at])
end
return dropped
"""
_REST_LUA = f"""{_FENCE}
local spooled = redis.call('LLEN', KEYS[2])
redis.call('UNLINK', unpack(KEYS))
return spooled
"""


class Removal:
    """Drops journal, spool, packet ids and fence of one partition; Fenced where a newer owner has opened it."""

    def __init__(self, client: store.Client, *, registration: str, partition: int, token: int) -> None:
        self.batches = 0
        self.spooled = 0
        self.shown: list[str] = []
        self._client: Any = client
        self._token = token
        self._registration = registration
        self._partition = partition
        self._fence = keys.fence(partition, registration)
        self._journal = keys.journal(partition, registration)
        self._batches = client.register_script(_BATCHES_LUA)
        self._rest = client.register_script(_REST_LUA)

    def run(self) -> None:
        """Drops all; `batches`, `spooled` (pieces) and `shown` (ids of the first batches) tell what it was."""
        while names := [name.decode() for name in self._client.zrange(self._journal, 0, _AT_ONCE - 1)]:
            self.shown = (self.shown + names)[:_SHOWN_BATCHES]
            references = [Reference(name, self._journal) for name in names]
            places = [key for reference in references for key in (reference.batch_key, reference.stage_key)]
            used = [self._fence, self._journal, keys.journal_bytes(self._journal), *places]
            self.batches += self._done(self._batches(keys=used, args=[self._token, *names]))
        spool, unacked = keys.spool(self._partition, self._registration), keys.unacked(self._partition, self._registration)
        counts = [keys.journal_bytes(self._journal), keys.journal_acked(self._journal)]
        used = [self._fence, spool, unacked, self._journal, *counts]
        self.spooled = self._done(self._rest(keys=used, args=[self._token]))

    def _done(self, answer: int) -> int:
        if answer < 0:
            raise Fenced(f"token {self._token} of {self._fence} is older than another owner's")
        return answer
