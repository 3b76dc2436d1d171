"""Packet ids of journalled messages whose ack the broker has not surely seen: what a repetition is recognised by.

An ack can get lost with its connection, or never be sent because the provider dies after journalling. The broker then sends
the message again under the same packet id and with the DUP flag (MQTT 3.1.1, 4.4). An id is forgotten as soon as a ping that
followed its ack is answered: the broker may use it for another message from then on.
"""

from __future__ import annotations

from dataclasses import dataclass

from feeds.provider.columns import PacketIds


@dataclass(slots=True)
class _Chunk:
    partition: int
    ids: PacketIds
    ack: int | None


class Unacked:
    """The packet ids by chunk of messages that was journalled at once."""

    def __init__(self) -> None:
        self._chunks: dict[str, _Chunk] = {}
        self._expected: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._chunks)

    def add(self, chunk: str, partition: int, ids: PacketIds, *, ack: int | None) -> None:
        """Remembers a chunk; `ack` is the number under which the connection confirms it, None where no ack was sent."""
        self._chunks[chunk] = _Chunk(partition, ids, ack)

    def expect(self) -> None:
        """A connection with the old session begins: any of the ids may come again."""
        self._expected = {}
        for chunk in self._chunks.values():
            self._expected.update(zip(chunk.ids.mids, chunk.ids.digests, strict=True))

    def lost(self) -> None:
        """The connection is gone, and perhaps the acks on their way."""
        for chunk in self._chunks.values():
            chunk.ack = None

    def matches(self, mid: int, digest: int) -> bool:
        """Whether a repeated message is one that is journalled."""
        return self._expected.get(mid) == digest

    def came_all(self, *, ack: int) -> None:
        """The broker has repeated all it had to, and the ack of this number followed: the rest was never missing."""
        self._expected = {}
        for chunk in self._chunks.values():
            if chunk.ack is None:
                chunk.ack = ack

    def confirmed(self, ack: int) -> dict[int, list[str]]:
        """Forgets the chunks that are confirmed up to a number; partition -> their names."""
        gone: dict[int, list[str]] = {}
        for name, chunk in list(self._chunks.items()):
            if not len(chunk.ids) or (chunk.ack is not None and chunk.ack <= ack):
                gone.setdefault(chunk.partition, []).append(name)
                del self._chunks[name]
        return gone

    def clear(self) -> dict[int, list[str]]:
        """The broker has lost the session, nothing of it comes again: forgets all; partition -> names."""
        self._expected = {}
        gone: dict[int, list[str]] = {}
        for name, chunk in self._chunks.items():
            gone.setdefault(chunk.partition, []).append(name)
        self._chunks.clear()
        return gone
