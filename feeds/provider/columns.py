"""Messages between the socket and the journal, by column, so that one message costs a few appends and no object."""

from __future__ import annotations

import json
from array import array
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any
from zlib import crc32

from hort.batch import RETAINED, Messages

_ROW_OVERHEAD = 16


class Columns:
    """Messages in the order of arrival; the first `spooled` of them are in Redis already.

    `mids` are the broker's packet ids (0 at QoS 0), `flags` are QoS | RETAINED, `topics` maps a topic's bytes to its number.
    """

    __slots__ = ("flags", "index", "mids", "payloads", "received", "size", "spooled", "topics")

    def __init__(self) -> None:
        self.topics: dict[bytes, int] = {}
        self.index = array("I")
        self.payloads: list[bytes] = []
        self.received = array("q")
        self.flags = bytearray()
        self.mids = array("H")
        self.size = 0
        self.spooled = 0

    def __len__(self) -> int:
        return len(self.payloads)

    def append(self, topic: bytes, payload: bytes, *, received: int, flags: int, mid: int) -> None:
        """Adds one message; the fast reader does the same in its own loop."""
        self.index.append(self.topics.setdefault(topic, len(self.topics)))
        self.payloads.append(payload)
        self.received.append(received)
        self.flags.append(flags)
        self.mids.append(mid)
        self.size += len(payload)

    def messages(self, start: int = 0, stop: int | None = None) -> Messages:
        """The messages from `start` to before `stop`, for the journal; only the topics they use."""
        numbers: Sequence[int] = self.index[start:stop]
        topics = list(self.topics)
        if len(numbers) < len(self):
            used = dict.fromkeys(numbers)
            topics = [topics[number] for number in used]
            place = {number: at for at, number in enumerate(used)}
            numbers = [place[number] for number in numbers]
        names = [topic.decode("utf-8", "backslashreplace") for topic in topics]
        cut = slice(start, stop)
        return Messages(names, numbers, self.payloads[cut], self.received[cut], bytes(self.flags[cut]))

    def packet_ids(self, start: int = 0) -> PacketIds:
        """Packet ids and digests of the messages from `start` on that want an ack."""
        sums = [crc32(topic) for topic in self.topics]
        digests = array("I", map(crc32, self.payloads[start:], map(sums.__getitem__, self.index[start:])))
        mids, flags = self.mids[start:], self.flags[start:]
        if 0 not in mids:
            return PacketIds(mids, digests, bytes(flags))
        keep = [at for at, mid in enumerate(mids) if mid]
        return PacketIds(
            array("H", (mids[at] for at in keep)), array("I", (digests[at] for at in keep)), bytes(flags[at] for at in keep)
        )

    def wanting(self, start: int) -> int:
        """How many of the messages from `start` on want an ack: those above QoS 0."""
        return len(self) - start - self.flags.count(0, start) - self.flags.count(RETAINED, start)

    def take(self, count: int) -> Columns:
        """The first `count` messages, which leave these columns."""
        taken, rest = self._slice(0, count), self._slice(count, len(self))
        taken.spooled, rest.spooled = min(self.spooled, count), max(0, self.spooled - count)
        for name in self.__slots__:
            setattr(self, name, getattr(rest, name))
        return taken

    def split(self, partitions: int) -> Iterator[tuple[int, Columns]]:
        """These columns by partition: a stable hash of the topic, so that all of a device's events of one kind meet."""
        if partitions == 1:
            yield 0, self
            return
        places = [crc32(topic) % partitions for topic in self.topics]
        topics = list(self.topics)
        parts: dict[int, Columns] = {}
        for at, number in enumerate(self.index):
            part = parts.setdefault(places[number], Columns())
            if at < self.spooled:
                part.spooled += 1
            part.append(
                topics[number], self.payloads[at], received=self.received[at], flags=self.flags[at], mid=self.mids[at]
            )
        yield from sorted(parts.items())

    def fitting(self, *, max_records: int, max_bytes: int, inline: bool) -> int:
        """How many of the first messages make a batch within the limits; at least one."""
        limit = min(len(self), max_records)
        if not inline and self.size + limit * _ROW_OVERHEAD <= max_bytes:
            return limit
        sizes = self._inline_sizes(limit) if inline else (len(payload) + _ROW_OVERHEAD for payload in self.payloads[:limit])
        return max(1, bisect_right(list(accumulate(sizes)), max_bytes))

    def _inline_sizes(self, limit: int) -> Iterator[int]:
        topics = [topic.decode("utf-8", "backslashreplace") for topic in self.topics]
        for at in range(limit):
            yield inline_size(inline_row(topics[self.index[at]], self.payloads[at], self.received[at], self.flags[at])) + 2

    def _slice(self, start: int, stop: int) -> Columns:
        part = Columns()
        part.topics = dict(self.topics) if stop > start else {}
        part.index, part.payloads = self.index[start:stop], self.payloads[start:stop]
        part.received, part.flags, part.mids = self.received[start:stop], self.flags[start:stop], self.mids[start:stop]
        part.size = sum(map(len, part.payloads))
        return part


class PacketIds:
    """Packet ids that the broker waits for, with what tells a repetition from a new message under the same id."""

    __slots__ = ("digests", "flags", "mids")

    def __init__(self, mids: array[int], digests: array[int], flags: bytes) -> None:
        self.mids = mids
        self.digests = digests
        self.flags = flags

    def __len__(self) -> int:
        return len(self.mids)

    def of_qos(self, qos: int) -> array[int]:
        """The packet ids of one QoS."""
        wanted = [flag & 3 == qos for flag in self.flags]
        if all(wanted):
            return self.mids
        return array("H", (mid for mid, right in zip(self.mids, wanted, strict=True) if right))

    def pack(self) -> bytes:
        """Binary form: count is implied, 6 bytes an id (all ids, then all digests), native little-endian."""
        return self.mids.tobytes() + self.digests.tobytes()

    @classmethod
    def unpack(cls, raw: bytes) -> PacketIds:
        """The ids of `pack`; QoS is not kept, the repetition carries it."""
        count = len(raw) // 6
        mids, digests = array("H"), array("I")
        mids.frombytes(raw[: 2 * count])
        digests.frombytes(raw[2 * count : 6 * count])
        return cls(mids, digests, b"")


def merged(parts: Sequence[Messages]) -> Columns:
    """Several lists of messages as columns; they want no ack."""
    columns = Columns()
    for part in parts:
        topics = [topic.encode() for topic in part.topics]
        for number, payload, received, flags in zip(part.topic_index, part.payloads, part.received_at, part.flags, strict=True):
            columns.append(topics[number], payload, received=received, flags=flags, mid=0)
    return columns


def digest(topic: bytes, payload: bytes) -> int:
    """The digest of one message, as `Columns.packet_ids` makes it."""
    return crc32(payload, crc32(topic))


def inline_row(topic: str, payload: bytes, received: int, flags: int) -> dict[str, Any]:
    """One message as an inline trigger payload holds it; a payload too large for a fire is replaced by an error."""
    row: dict[str, Any] = {"topic": topic, "qos": flags & 3, "retained": bool(flags & RETAINED), "received_at": received}
    try:
        row |= {"payload": payload.decode("utf-8"), "encoding": "utf-8"}
    except UnicodeDecodeError:
        row |= {"payload": b64encode(payload).decode(), "encoding": "base64"}
    return row


def inline_size(row: dict[str, Any]) -> int:
    """Bytes of a row in the JSON of a trigger payload."""
    return len(json.dumps(row, separators=(",", ":")))
