"""Packet ids that are confirmed and still kept, for a broker that dies and comes back as it was some seconds ago.

mosquitto writes its sessions to disk each `autosave_interval`; after a kill -9 it sends again what was in flight at the last save,
with DUP, though it had the acks. Only what came before can be a repetition of this kind, so new messages (no DUP) never match.
Nor may a message that was sent, got lost on its way and now comes for the first time, with DUP:

- A broker that counts (`feeds.provider.numbering`) gives a number again after 65,535 messages. It sends in order, at most a window of
  W messages ahead of what we took; so while the newest number we took is less than 65,535 - W past an id, what it sends under
  that id is what we took under it. KEPT_IDS leaves W the 30,000 that scripts/stack sets. Other brokers' ids are not kept at all.
- A broker that was rolled back gives the numbers since its save to other messages. Over the first connection after that they come
  without DUP. Over a second one with DUP, where the first broke before they were read: therefore ids are good for one connection
  (*doubted* from before its CONNECT on, in Redis too, as another provider may go on) and are kept on only when a new message has come
  over it. All that the broker had sent has come before that, and what came last under a number counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from feeds.provider.columns import PacketIds
from feeds.provider.numbering import age

KEPT_IDS = 35_000
KEPT_MS = 60_000
"""Ids are given up after this time over a standing connection; a broker that saves less often is not covered."""

Named = dict[int, list[str]]
"""Names of chunks by partition."""


@dataclass(slots=True)
class _Chunk:
    partition: int
    ids: PacketIds
    since: int


class Kept:
    """Chunks of confirmed packet ids in the order of their confirmation, bounded by number and time."""

    def __init__(self) -> None:
        self._chunks: dict[str, _Chunk] = {}
        self._doubted: dict[str, _Chunk] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, chunk: str, partition: int, ids: PacketIds, *, now: int) -> None:
        """Keeps a chunk from now on."""
        self._chunks[chunk] = _Chunk(partition, ids, now)
        self._count += len(ids)

    def dialled(self) -> Named:
        """CONNECT goes out: what is kept is good for this connection; what was doubted before is given up, and named."""
        given_up, self._doubted, self._chunks = self._doubted, self._chunks, {}
        return self._named(given_up)

    def believe(self) -> None:
        """A new message came over the connection: all that is kept was given to no other message."""
        self._chunks = {**self._doubted, **self._chunks}
        self._doubted = {}

    def expected(self, newest: int) -> dict[int, int]:
        """Packet id -> digest of what may come again, if the newest message had this packet id."""
        found: dict[int, int] = {}
        for chunk in self._doubted.values():
            found.update(
                (mid, digest)
                for mid, digest in zip(chunk.ids.mids, chunk.ids.digests, strict=True)
                if age(newest, mid) < KEPT_IDS
            )
        return found

    def expire(self, now: int) -> Named:
        """Gives up the oldest chunks while there are too many or their time is over."""
        gone: dict[str, _Chunk] = {}
        left = self._count
        for chunks in (self._doubted, self._chunks):
            for name, chunk in list(chunks.items()):
                if left - len(chunk.ids) < KEPT_IDS and now - chunk.since <= KEPT_MS:
                    break
                left -= len(chunk.ids)
                gone[name] = chunks.pop(name)
        return self._named(gone)

    def clear(self) -> Named:
        """Gives up all."""
        gone = {**self._doubted, **self._chunks}
        self._doubted, self._chunks = {}, {}
        return self._named(gone)

    def _named(self, gone: dict[str, _Chunk]) -> Named:
        names: Named = {}
        for name, chunk in gone.items():
            self._count -= len(chunk.ids)
            names.setdefault(chunk.partition, []).append(name)
        return names
