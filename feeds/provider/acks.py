"""What the broker is told and may repeat: acks after the journal, repetitions recognised, packet ids forgotten in the end."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from feeds.provider.columns import PacketIds, digest
from feeds.provider.connection import Connection
from feeds.provider.ledger import Ledger
from feeds.provider.log import log
from feeds.provider.meters import Meters
from feeds.provider.unacked import Unacked


class Acks:
    """The acknowledgements of one registration, over connections, owners and outages."""

    def __init__(self, ledgers: Sequence[Ledger], *, trigger: str, meters: Meters) -> None:
        self._ledgers = ledgers
        self._trigger = trigger
        self._meters = meters
        self._unacked = Unacked()
        self._again: dict[int, array[int]] = {}
        self._came_all = False
        self._forget: dict[int, list[str]] = {}

    @property
    def untidy(self) -> bool:
        """Whether the ledger holds packet ids that nobody needs any more."""
        return bool(self._forget)

    def inherit(self, partition: int, chunks: Mapping[str, bytes]) -> None:
        """Expects what an earlier owner journalled and perhaps did not acknowledge."""
        for chunk, raw in chunks.items():
            self._unacked.add(chunk, partition, PacketIds.unpack(raw), ack=None)

    def connected(self, *, session_present: bool) -> None:
        """A connection begins: the broker repeats what it has no ack of, or knows nothing any more."""
        self._again, self._came_all = {}, False
        if session_present:
            self._unacked.expect()
        else:
            self._forget_later(self._unacked.clear())

    def lost(self) -> None:
        """The connection is gone, and perhaps acks with it."""
        self._unacked.lost()

    def repeated(self, mid: int, qos: int, topic: bytes, payload: bytes) -> bool:
        """A message came again: True where it is journalled; then only its ack is due."""
        if not self._unacked.matches(mid, digest(topic, payload)):
            return False
        self._again.setdefault(qos, array("H")).append(mid)
        return True

    def fresh(self) -> None:
        """New messages came, so everything that the broker had to repeat has come before."""
        self._came_all = True

    def journalled(self, chunk: str, partition: int, ids: PacketIds, connection: Connection | None) -> None:
        """Acknowledges messages that are in Redis, over the connection they came by where that is still there."""
        ack = None
        if connection is not None:
            for qos in (1, 2):
                if mids := ids.of_qos(qos):
                    ack = self._ack(connection, qos, mids)
        self._unacked.add(chunk, partition, ids, ack=ack)

    def keep_up(self, connection: Connection, *, up: bool) -> None:
        """Acknowledges repetitions, and notes which acks the broker has seen."""
        if up and self._again:
            again, self._again = self._again, {}
            for qos, mids in again.items():
                self._meters.duplicates.labels(self._trigger).inc(len(mids))
                log("duplicates", trigger=self._trigger, count=len(mids), qos=qos)
                self._ack(connection, qos, mids)
        self._forget_later(self._unacked.confirmed(connection.confirmed))

    def tidy(self) -> None:
        """Drops confirmed packet ids from the ledger; RedisError where it is away."""
        for partition, chunks in list(self._forget.items()):
            self._ledgers[partition].forget(chunks)
            del self._forget[partition]

    def _ack(self, connection: Connection, qos: int, mids: array[int]) -> int:
        self._meters.acked.labels(self._trigger).inc(len(mids))
        number = connection.ack(qos, mids)
        if self._came_all:
            self._came_all = False
            self._unacked.came_all(ack=number)
        return number

    def _forget_later(self, chunks: Mapping[int, list[str]]) -> None:
        for partition, names in chunks.items():
            self._forget.setdefault(partition, []).extend(names)
