"""How a broker numbers the messages it sends: whether it counts up, and so cannot use a packet id again for long.

mosquitto, EMQX, VerneMQ and RabbitMQ count from 1 to 65,535 and begin again; others take the lowest number that is free. A run of
numbers shows the first kind when it goes on although earlier ones are free again, several times, or when it is long.
"""

from __future__ import annotations

from array import array
from itertools import pairwise

IDS = 65_535
"""Packet ids are 1 to this (MQTT 3.1.1, 2.3.1)."""
STEP = 8
"""Numbers that a counting broker may leave out: mosquitto numbers what it then does not send because subscriptions overlap."""
PROOFS = 8
LONG = 32_768


def age(newest: int, mid: int) -> int:
    """How many numbers ago a counting broker gave this one."""
    return (newest - mid) % IDS


class Numbering:
    """Watches the packet ids of one session in the order of arrival."""

    def __init__(self) -> None:
        self.newest = 0
        self.counting = False
        self._linked = False
        self._free = False
        self._proofs = 0
        self._run = 0

    def connected(self) -> None:
        """A connection begins: a broker that was rolled back goes on with an earlier number, which says nothing."""
        self._linked, self._free, self._run = False, False, 0

    def came(self, mids: array[int]) -> None:
        """Messages came that are not known: new ones, or such as were sent before and never arrived."""
        linked, self._linked = self._linked, True
        follows = _up(self.newest, mids[0])
        if not _counts_up(mids) or (linked and not follows):
            self.counting, self._proofs, self._run = False, 0, 0
        else:
            self._run += len(mids)
            self._proofs += linked and follows and self._free
            self.counting = self.counting or self._proofs >= PROOFS or self._run > LONG
        self._free, self.newest = False, mids[-1]

    def freed(self) -> None:
        """The broker has seen acks, before it sent what is read next."""
        self._free = True


def _up(before: int, mid: int) -> bool:
    return 0 < (mid - before) % IDS <= STEP


def _counts_up(mids: array[int]) -> bool:
    first = mids[0]
    if first + len(mids) <= IDS and mids == array("H", range(first, first + len(mids))):
        return True
    return all(_up(before, mid) for before, mid in pairwise(mids))
