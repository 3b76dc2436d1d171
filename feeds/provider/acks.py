"""What the broker is told and may repeat: acks after the journal, repetitions recognised, packet ids forgotten in the end.

An id is first *unacked* (`feeds.provider.unacked`), then, where the broker counts, *kept* (`feeds.provider.kept`), then forgotten;
the ledger has both kinds, as another provider may go on at any time.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from feeds.provider.columns import PacketIds, digest
from feeds.provider.connection import Connection
from feeds.provider.kept import Kept, Named
from feeds.provider.ledger import Ledger, Left, born
from feeds.provider.log import log
from feeds.provider.meters import Meters
from feeds.provider.numbering import Numbering
from feeds.provider.unacked import NOWHERE, Unacked


class Acks:
    """The acknowledgements of one registration, over connections, owners and outages."""

    def __init__(self, ledgers: Sequence[Ledger], *, trigger: str, meters: Meters) -> None:
        self._ledgers = ledgers
        self._trigger = trigger
        self._meters = meters
        self._unacked = Unacked()
        self._kept = Kept()
        self._numbering = Numbering()
        self._again: dict[int, array[int]] = {}
        self._came_all = False
        self._up = False
        # -- what the ledger does not know yet
        self._forget: Named = {}
        self._keep: Named = {}
        self._doubted = False
        self._believe_from = 0
        self._believe = False

    @property
    def untidy(self) -> bool:
        """Whether the ledger has to be told something."""
        return bool(self._forget or self._keep or (self._doubted and self._believe))

    # -- connections --------------------------------------------------------------------------------------------

    def inherit(self, lefts: Mapping[int, Left], *, now: int) -> None:
        """Expects what an earlier owner journalled: what it perhaps did not acknowledge, and what it kept."""
        chunks = [(born(name), at, name, raw, False) for at, left in lefts.items() for name, raw in left.unacked.items()]
        chunks += [(born(name), at, name, raw, True) for at, left in lefts.items() for name, raw in left.kept.items()]
        for _, partition, name, raw, kept in sorted(chunks):
            ids = PacketIds.unpack(raw)
            if kept:
                self._kept.add(name, partition, ids, now=now)
                self._numbering.counting = True
            else:
                self._unacked.add(name, partition, ids, ack=None)
            self._numbering.newest = ids.mids[-1] if ids else self._numbering.newest

    def dialling(self) -> None:
        """To be called before each CONNECT: what is kept is in doubt from now on; RedisError where that cannot be noted.

        Fenced where another owner is newer: the broker would end its connection for this one.
        """
        for ledger in self._ledgers:
            ledger.check()
        if self._doubted or not (len(self._kept) or self._forget):
            return
        for ledger in self._ledgers:
            ledger.doubt(doubted=True)
        self._doubted = True

    def dialled(self) -> None:
        """CONNECT goes out."""
        self._believe_from, self._believe = 0, False
        self._forget_later(self._kept.dialled())

    def connected(self, *, session_present: bool) -> None:
        """A connection begins: the broker repeats what it has no ack of, or knows nothing any more."""
        self._again, self._came_all, self._up = {}, False, True
        self._numbering.connected()
        if session_present:
            self._unacked.expect(self._kept.expected(self._numbering.newest))
            return
        self._numbering, self._believe = Numbering(), True
        self._forget_later(self._kept.clear())
        for name, chunk in self._unacked.clear().items():
            self._forget_later({chunk.partition: [name]})

    def lost(self) -> None:
        """The connection is gone, and perhaps acks with it."""
        self._up = False
        self._unacked.lost()

    # -- messages -----------------------------------------------------------------------------------------------

    def repeated(self, mid: int, qos: int, topic: bytes, payload: bytes) -> bool:
        """A message came again: True where it is journalled; then only its ack is due."""
        if not self._unacked.matches(mid, digest(topic, payload)):
            self._came(array("H", [mid]))
            return False
        self._again.setdefault(qos, array("H")).append(mid)
        return True

    def fresh(self, mids: array[int]) -> None:
        """New messages came, so everything that the broker had to repeat has come before."""
        self._came_all = True
        self._kept.believe()
        if 0 in mids:
            mids = array("H", filter(None, mids))
        self._came(mids)
        self._believe_from = self._believe_from or mids[-1]

    def journalled(self, chunk: str, partition: int, ids: PacketIds, connection: Connection | None) -> None:
        """Acknowledges messages that are in Redis, over the connection they came by where that is still there."""
        ack = None
        if connection is not None:
            for qos in (1, 2):
                if mids := ids.of_qos(qos):
                    ack = self._ack(connection, qos, mids)
            self._believe = self._believe or self._believe_from in ids.mids
        self._unacked.add(chunk, partition, ids, ack=ack)

    def keep_up(self, connection: Connection, *, up: bool, now: int) -> None:
        """Acknowledges repetitions, and notes which acks the broker has seen."""
        if up and self._again:
            again, self._again = self._again, {}
            for qos, mids in again.items():
                self._meters.duplicates.labels(self._trigger).inc(len(mids))
                log("duplicates", trigger=self._trigger, count=len(mids), qos=qos)
                self._unacked.acked_again(self._ack(connection, qos, mids))
        self._confirm(connection.confirmed, now)
        if up:
            self._forget_later(self._kept.expire(now))

    def tidy(self) -> None:
        """Brings the ledger up to date, when all that came is journalled; RedisError where it is away."""
        for partition, chunks in list(self._forget.items()):
            self._ledgers[partition].forget(chunks)
            del self._forget[partition]
        for partition, chunks in list(self._keep.items()):
            self._ledgers[partition].keep(chunks)
            del self._keep[partition]
        if self._doubted and self._believe:
            for ledger in self._ledgers:
                ledger.doubt(doubted=False)
            self._doubted = False

    def _came(self, mids: array[int]) -> None:
        self._numbering.came(mids)
        if not self._numbering.counting and len(self._kept):
            self._forget_later(self._kept.clear())

    def _confirm(self, ack: int, now: int) -> None:
        gone = self._unacked.confirmed(ack)
        if any(len(chunk.ids) for chunk in gone.values()):
            self._numbering.freed()
        for name, chunk in gone.items():
            if not len(chunk.ids) or not self._numbering.counting:
                self._forget_later({chunk.partition: [name]})
                continue
            self._kept.add(name, chunk.partition, chunk.ids, now=now)
            if chunk.partition != NOWHERE:
                self._keep.setdefault(chunk.partition, []).append(name)

    def _ack(self, connection: Connection, qos: int, mids: array[int]) -> int | None:
        """The number that confirms them, None where the connection broke under them: no later one confirms what nobody saw."""
        self._meters.acked.labels(self._trigger).inc(len(mids))
        number = connection.ack(qos, mids)
        if not self._up:
            return None
        if self._came_all:
            self._came_all = False
            self._unacked.came_all(ack=number)
        return number

    def _forget_later(self, chunks: Named) -> None:
        for partition, names in chunks.items():
            if partition != NOWHERE:
                self._forget.setdefault(partition, []).extend(names)
