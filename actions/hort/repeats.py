"""Repeats: records that a device sent before under the same number, recognised across batches for a while.

The first batch that brings a record owns it. A batch that is delivered again is the same owner, so it is not its own repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hort import keys, store
from hort.decoded import Identity

CLAIMS_PER_CALL = 500
"""Redis serves nobody else during a call: 500 claims take about a millisecond."""

_CLAIM_LUA = """
local repeats = {}
for place = 1, #KEYS do
  local owner = redis.call('GET', KEYS[place])
  if owner and owner ~= ARGV[place + 1] then
    repeats[#repeats + 1] = place - 1
  else
    redis.call('SET', KEYS[place], ARGV[place + 1], 'PX', ARGV[1])
  end
end
return repeats
"""


class Repeats(Protocol):
    """Who brought a record first."""

    def claim(self, identities: Sequence[Identity], *, ttl_ms: int) -> set[int]:
        """Claims records for their owners; the positions of those that belong to somebody else already."""


class RedisRepeats:
    """The owners of one partition's records in Redis; each is forgotten after its time to live."""

    def __init__(self, client: store.Client, partition: int) -> None:
        self._partition = partition
        self._script = client.register_script(_CLAIM_LUA)

    def claim(self, identities: Sequence[Identity], *, ttl_ms: int) -> set[int]:
        """Claims records, 500 a call."""
        found: set[int] = set()
        for start in range(0, len(identities), CLAIMS_PER_CALL):
            part = identities[start : start + CLAIMS_PER_CALL]
            places = [keys.record_id(self._partition, identity.record_id) for identity in part]
            repeats = self._script(keys=places, args=[ttl_ms, *(identity.owner for identity in part)])
            found.update(part[place].record for place in repeats)
        return found
