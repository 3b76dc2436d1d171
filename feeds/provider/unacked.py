"""Packet ids of journalled messages whose ack the broker has not surely seen: what a repetition is recognised by.

An ack can get lost with its connection, or never be sent because the provider dies after journalling. The broker then sends
the message again under the same packet id and with the DUP flag (MQTT 3.1.1, 4.4). An id leaves here as soon as a ping that
followed its ack is answered: the broker may use it for another message from then on. See `feeds.provider.kept` for what follows.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from feeds.provider.columns import PacketIds

NOWHERE = -1
"""The partition of ids that are in no ledger: those of repetitions, whose first arrival is in one."""


@dataclass(slots=True)
class Chunk:
    """Packet ids of messages that were journalled at once; `ack` is the number that confirms them, where one was sent."""

    partition: int
    ids: PacketIds
    ack: int | None


class Unacked:
    """The packet ids by chunk of messages that was journalled at once."""

    def __init__(self) -> None:
        self._chunks: dict[str, Chunk] = {}
        self._expected: dict[int, int] = {}
        self._again: Chunk | None = None
        self._repetitions = 0

    def __len__(self) -> int:
        return len(self._chunks)

    def add(self, chunk: str, partition: int, ids: PacketIds, *, ack: int | None) -> None:
        """Remembers a chunk; `ack` is the number under which the connection confirms it, None where no ack was sent."""
        self._chunks[chunk] = Chunk(partition, ids, ack)

    def expect(self, kept: Mapping[int, int] | None = None) -> None:
        """A connection with the old session begins: any of the ids may come again, and of the older ones that are `kept`."""
        self._expected = dict(kept or {})
        for chunk in self._chunks.values():
            self._expected.update(zip(chunk.ids.mids, chunk.ids.digests, strict=True))

    def lost(self) -> None:
        """The connection is gone, and perhaps the acks on their way."""
        for chunk in self._chunks.values():
            chunk.ack = None

    def matches(self, mid: int, digest: int) -> bool:
        """Whether a repeated message is one that is journalled; if so, its new ack has to be confirmed, too."""
        if self._expected.get(mid) != digest:
            return False
        if self._again is None:
            self._repetitions += 1
            self._again = Chunk(NOWHERE, PacketIds(array("H"), array("I"), b""), None)
            self._chunks[f"again-{self._repetitions}"] = self._again
        self._again.ids.mids.append(mid)
        self._again.ids.digests.append(digest)
        return True

    def acked_again(self, ack: int | None) -> None:
        """The ack of this number is the last of those of the repetitions so far; None where it was not sent."""
        if self._again is not None:
            self._again.ack, self._again = ack, None

    def came_all(self, *, ack: int) -> None:
        """The broker has repeated all it had to, and the ack of this number followed: the rest was never missing."""
        self._expected = {}
        for chunk in self._chunks.values():
            if chunk.ack is None:
                chunk.ack = ack

    def confirmed(self, ack: int) -> dict[str, Chunk]:
        """Takes out the chunks that are confirmed up to a number."""
        gone: dict[str, Chunk] = {}
        for name, chunk in list(self._chunks.items()):
            if not len(chunk.ids) or (chunk.ack is not None and chunk.ack <= ack):
                gone[name] = self._chunks.pop(name)
        return gone

    def clear(self) -> dict[str, Chunk]:
        """The broker has lost the session, nothing of it comes again: takes out all."""
        gone, self._chunks, self._expected, self._again = self._chunks, {}, {}, None
        return gone
