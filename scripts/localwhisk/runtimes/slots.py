"""Which worker serves whom: warm ones first, claims of memory, and a bounded queue. No processes here."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from localwhisk.runtime_api import ActionSpec

Key = tuple[str, str]
W = TypeVar("W")


class NoRoom(Exception):
    """No memory came free in time, or too many wait already."""


@dataclass(slots=True, eq=False)
class Slot(Generic[W]):
    """A claim of memory with the worker that lives in it."""

    key: Key
    memory_mb: int
    worker: W | None = None
    since: float = 0.0


@dataclass(slots=True, eq=False)
class _Waiter(Generic[W]):
    spec: ActionSpec
    future: asyncio.Future[Slot[W]] = field(default_factory=asyncio.Future)


class Slots(Generic[W]):
    """The book of busy and idle workers.

    `discard` is called with each idle slot that has to go. One action larger than the whole budget still gets
    a place when nothing else holds one.
    """

    def __init__(
        self,
        *,
        memory_mb: int,
        max_idle: int,
        max_waiting: int,
        alive: Callable[[W], bool],
        discard: Callable[[Slot[W]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = memory_mb
        self._max_idle = max_idle
        self._max_waiting = max_waiting
        self._alive = alive
        self._discard = discard
        self._clock = clock
        self._claimed = 0
        self._idle: OrderedDict[Slot[W], None] = OrderedDict()
        self._warm: dict[Key, list[Slot[W]]] = {}
        self._revisions: dict[str, str] = {}
        self._slots_of: dict[str, int] = {}
        self._waiters: deque[_Waiter[W]] = deque()
        self.busy: set[Slot[W]] = set()

    @property
    def claimed_mb(self) -> int:
        """Memory claimed by busy and idle slots."""
        return self._claimed

    @property
    def idle_count(self) -> int:
        """Number of idle workers."""
        return len(self._idle)

    @property
    def waiting_count(self) -> int:
        """Number of activations that wait for a place."""
        return len(self._waiters)

    async def acquire(self, spec: ActionSpec, *, claim_mb: int, wait_s: float) -> Slot[W]:
        """Give a warm slot, the one used last, or an empty one; raises NoRoom."""
        self._note_revision(spec)
        slot = self._take_warm(spec.pool_key)
        if slot is not None:
            return slot
        if not self._waiters and self._make_room(claim_mb):
            return self._claim(spec, claim_mb)
        return await self._wait(spec, wait_s)

    async def _wait(self, spec: ActionSpec, wait_s: float) -> Slot[W]:
        if len(self._waiters) >= self._max_waiting:
            raise NoRoom
        waiter: _Waiter[W] = _Waiter(spec)
        self._waiters.append(waiter)
        try:
            return await asyncio.wait_for(asyncio.shield(waiter.future), wait_s)
        except TimeoutError:
            raise NoRoom from None
        finally:
            self._leave(waiter)

    def _leave(self, waiter: _Waiter[W]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            waiter.future.cancel()

    def release(self, slot: Slot[W], *, keep: bool) -> None:
        """Take a slot back after a run; what is not kept is for the caller to close."""
        self.busy.discard(slot)
        keep = keep and self._revisions.get(slot.key[0]) == slot.key[1]
        if not keep:
            self._unclaim(slot)
            if slot.worker is not None:
                self._discard(slot)
        elif not self._hand_over(slot):
            self._put_idle(slot)
        self._serve()

    def reap(self, *, older_than_s: float) -> None:
        """Drop the workers that were idle for long, and dead ones."""
        limit = self._clock() - older_than_s
        for slot in list(self._idle):
            if slot.since <= limit or (slot.worker is not None and not self._alive(slot.worker)):
                self._evict(slot)
        self._serve()

    def forget(self, fqn: str) -> None:
        """Drop the idle workers of an action in any revision; busy ones go when they are given back."""
        ending = f":{fqn}"
        for name, revision in [key for key in self._warm if key[0].endswith(ending)]:
            for slot in list(self._warm[name, revision]):
                self._evict(slot)
        for name in [name for name in self._revisions if name.endswith(ending)]:
            del self._revisions[name]
        self._serve()

    def clear(self) -> None:
        """Drop all idle workers and send those who wait away."""
        for slot in list(self._idle):
            self._evict(slot)
        for waiter in list(self._waiters):
            waiter.future.set_exception(NoRoom())
        self._waiters.clear()

    def _note_revision(self, spec: ActionSpec) -> None:
        fqn, revision = spec.pool_key
        known = self._revisions.get(fqn)
        self._revisions[fqn] = revision
        if known is not None and known != revision:
            for slot in list(self._warm.get((fqn, known), ())):
                self._evict(slot)

    def _take_warm(self, key: Key) -> Slot[W] | None:
        slots = self._warm.get(key)
        while slots:
            slot = slots[-1]
            if slot.worker is not None and self._alive(slot.worker):
                self._remove_idle(slot)
                self.busy.add(slot)
                return slot
            self._evict(slot)
        return None

    def _claim(self, spec: ActionSpec, claim_mb: int) -> Slot[W]:
        slot: Slot[W] = Slot(spec.pool_key, claim_mb)
        self._claimed += claim_mb
        self._slots_of[slot.key[0]] = self._slots_of.get(slot.key[0], 0) + 1
        self._revisions.setdefault(*slot.key)
        self.busy.add(slot)
        return slot

    def _unclaim(self, slot: Slot[W]) -> None:
        self._claimed -= slot.memory_mb
        fqn = slot.key[0]
        self._slots_of[fqn] -= 1
        if not self._slots_of[fqn]:
            del self._slots_of[fqn]
            self._revisions.pop(fqn, None)

    def _make_room(self, claim_mb: int) -> bool:
        while self._claimed + claim_mb > self._budget and self._idle:
            self._evict(next(iter(self._idle)))
        return self._claimed + claim_mb <= self._budget or self._claimed == 0

    def _evict(self, slot: Slot[W]) -> None:
        self._remove_idle(slot)
        self._unclaim(slot)
        self._discard(slot)

    def _put_idle(self, slot: Slot[W]) -> None:
        slot.since = self._clock()
        self._idle[slot] = None
        self._warm.setdefault(slot.key, []).append(slot)
        while len(self._idle) > self._max_idle:
            self._evict(next(iter(self._idle)))

    def _remove_idle(self, slot: Slot[W]) -> None:
        del self._idle[slot]
        slots = self._warm[slot.key]
        slots.remove(slot)
        if not slots:
            del self._warm[slot.key]

    def _hand_over(self, slot: Slot[W]) -> bool:
        for waiter in self._waiters:
            if waiter.spec.pool_key == slot.key and not waiter.future.done():
                self._waiters.remove(waiter)
                self.busy.add(slot)
                waiter.future.set_result(slot)
                return True
        return False

    def _serve(self) -> None:
        while self._waiters:
            waiter = self._waiters[0]
            slot = self._take_warm(waiter.spec.pool_key)
            if slot is None and self._make_room(waiter.spec.memory_mb):
                slot = self._claim(waiter.spec, waiter.spec.memory_mb)
            if slot is None:
                return
            self._waiters.popleft()
            waiter.future.set_result(slot)
