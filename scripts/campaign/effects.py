"""A client cut off, or killed, between the effect of its request and the answer to it.

Clients of Redis and of HTTP/1.1 take turns with their server: they ask (one request, or a pipeline of them) and read all answers
before they ask again. So what a client says first after the server spoke begins a request. When a turn contains the bytes an
order waits for, its answers are withheld until the last request seen so far is being answered, since then all have had their effect
(those of a transaction have it when EXEC is answered); then the client goes. Of a pipeline outside a transaction more may have been
on its way: it is cut in its middle. In Redis' protocol requests and answers are counted; of anything else the first byte of the answer counts.
"""

from __future__ import annotations

import enum
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from campaign.owners import owners
from campaign.resp import QUEUED, NotResp, Values

MayKill = Callable[[int], bool]
Address = tuple[str, int]


def nobody(pid: int) -> bool:  # noqa: ARG001 - a MayKill
    """Whom one may kill if nothing else is said."""
    return False


class Kind(enum.Enum):
    """What happens to a client."""

    KILL = "kill"
    CUT = "cut"


@dataclass(eq=False)
class Order:
    """Something to be done to the next `left` clients that say `match`; `taken` are those whose answer is awaited."""

    kind: Kind
    match: bytes
    left: int
    taken: int = 0


class Effects:
    """The orders of one proxy, and how often they were carried out."""

    def __init__(self, may_kill: MayKill) -> None:
        self.counts: Counter[str] = Counter()
        self._may_kill = may_kill
        self._orders: list[Order] = []

    @property
    def armed(self) -> bool:
        """Whether an order waits for its request."""
        return any(order.left for order in self._orders)

    def order(self, kind: Kind, match: bytes, times: int) -> None:
        """Something to be done to the next `times` clients that say `match`."""
        if not match or times < 1:
            raise ValueError(f"match={match!r} must not be empty, times={times} must be at least 1")
        self._orders.append(Order(kind, match, times))

    def disarm(self) -> int:
        """Forgets all orders; returns how many times were left. A request that was taken is still carried out."""
        left = sum(order.left for order in self._orders)
        self._orders.clear()
        return left

    def longest(self) -> int:
        """Length of the longest match."""
        return max((len(order.match) for order in self._orders), default=0)

    def take(self, data: bytes) -> Order | None:
        """The first order whose bytes are in `data`; it has one time less."""
        for order in self._orders:
            if order.left and order.match in data:
                order.left -= 1
                order.taken += 1
                return order
        return None

    def give_back(self, order: Order) -> None:
        """The connection went before the answer came, and nobody knows of an effect: the next client will do."""
        order.taken -= 1
        order.left += 1

    def carry_out(self, order: Order, client: Address, proxy: Address) -> None:
        """Kills the client if that is ordered and allowed, and counts what happened."""
        order.taken -= 1
        self._orders = [other for other in self._orders if other.left or other.taken]
        if order.kind is Kind.CUT:
            self.counts["cut"] += 1
        elif sum(self._kill(pid) for pid in owners(client, proxy)):
            self.counts["killed"] += 1
        else:
            self.counts["spared"] += 1

    def _kill(self, pid: int) -> bool:
        if pid in (1, os.getpid()) or not self._may_kill(pid):
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


class Turns:
    """Follows the turns of one connection, see `campaign.link.Watch`; costs next to nothing while there is no order."""

    def __init__(
        self, effects: Effects, *, addresses: tuple[Address, Address], cut: Callable[[], None]
    ) -> None:
        self._effects = effects
        self._addresses = addresses
        self._cut = cut
        self._turn: _Turn | None = None

    def asked(self, data: bytes, *, first: bool) -> None:
        """Bytes of the client; a turn whose beginning was not seen under an order is not looked at."""
        if first and (self._turn is None or self._turn.settled):
            self._turn = _Turn(data) if self._effects.armed else None
        if self._turn:
            self._turn.asked(data, self._effects)

    def answered(self, data: bytes) -> bool:
        """Bytes of the server pass unless an order took the turn; the beginning of the last answer carries it out."""
        turn = self._turn
        if turn is None:
            return True
        turn.answered(data)
        if turn.order is None:
            return True
        if turn.has_had_its_effects:
            self._turn = None
            self._effects.carry_out(turn.order, *self._addresses)
            self._cut()
        return False

    def lost(self) -> None:
        """The connection has gone."""
        if self._turn and self._turn.order:
            self._effects.give_back(self._turn.order)
        self._turn = None


class _Turn:
    """The requests a client sends before it has read all answers to them."""

    def __init__(self, first: bytes) -> None:
        self.order: Order | None = None
        self._window = b""
        self._answered = False
        self._requests: Values | None = Values() if first[:1] == b"*" else None
        self._replies = Values()

    @property
    def settled(self) -> bool:
        """Whether no order awaits an answer and all that was asked is answered, so that what comes next begins a request."""
        requests = self._requests
        if self.order:
            return False
        return requests is None or (
            requests.at_boundary and self._replies.at_boundary and self._replies.complete >= requests.complete
        )

    @property
    def has_had_its_effects(self) -> bool:
        """Whether the last request is being answered."""
        requests = self._requests
        if requests is None:
            return self._answered
        last = self._replies.head
        return (
            requests.at_boundary
            and self._replies.begun >= requests.complete
            and bool(last)
            and last != QUEUED
        )

    def asked(self, data: bytes, effects: Effects) -> None:
        """Counts requests, and lets an order take the turn; keeps what a match could begin in."""
        self._answered = False
        self._count(self._requests, data)
        if self.order is None:
            self._window += data
            self.order = effects.take(self._window)
            self._window = self._window[-effects.longest() :] if self.order is None else b""

    def answered(self, data: bytes) -> None:
        """Counts answers."""
        self._answered = True
        if self._requests:
            self._count(self._replies, data)

    def _count(self, values: Values | None, data: bytes) -> None:
        if values is not None:
            try:
                values.feed(data)
            except NotResp:
                self._requests = None
