"""Fires alarms when they are due: one heap, one waiting task, whatever the number of alarms.

Ticks are computed from the wall clock, so nothing drifts. After a pause of the machine, or when its clock is set ahead, one
overdue fire is made and the other missed ticks are skipped; when it is set back, ticks are planned anew (see steps.py). Ticks
missed while the service was down are not made up for. An alarm has at most one fire under way: a tick that comes due
meanwhile is skipped.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from localwhisk.alarms import feed, schedule, texts
from localwhisk.alarms.errors import AlarmError
from localwhisk.alarms.schedule import UNLIMITED, Registration
from localwhisk.alarms.steps import Steps
from localwhisk.alarms.store import Store

logger = logging.getLogger(__name__)

Fire = Callable[[Registration], Awaitable[int]]
"""Fires the trigger of a registration with its payload; gives the HTTP status (raise or 0: no answer)."""


class DeleteTrigger(Protocol):
    """Deletes the trigger of a registration, and its rules when asked to (deleteAfterFire)."""

    async def __call__(self, registration: Registration, *, rules: bool) -> None:
        """Delete."""


class Watcher(Protocol):
    """Is told what does not happen; both are logged besides."""

    def missed(self, key: str, reason: str, count: int) -> None:
        """So many ticks are skipped: `late` after a pause, `busy` while a fire is under way."""

    def disabled(self, key: str, status_code: int | None) -> None:
        """An alarm is switched off: it ended by itself (None), or because of that answer to a fire."""


class _Nobody:
    def missed(self, key: str, reason: str, count: int) -> None:
        """Nothing."""

    def disabled(self, key: str, status_code: int | None) -> None:
        """Nothing."""


_MOST_COUNTED = 1_000
"""Skipped ticks of one pause are counted up to this."""
_LONGEST_NAP_S = 2.0
_LASTING = range(400, 500)
_PASSING = (408, 409, 429)


class Clock(Protocol):
    """Time as the service sees it."""

    def now_ms(self) -> int:
        """Read the wall clock, epoch milliseconds."""

    async def sleep(self, seconds: float) -> None:
        """Wait for a delay before a retry."""

    async def wait(self, woken: asyncio.Event, seconds: float) -> None:
        """Wait until woken, at most that long."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Read the wall clock, epoch milliseconds."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def wait(self, woken: asyncio.Event, seconds: float) -> None:
        """Wait until woken, at most that long; naps are short, as a suspended machine stops the loop's clock."""
        try:
            await asyncio.wait_for(woken.wait(), min(seconds, _LONGEST_NAP_S))
        except TimeoutError:
            return


async def _keep_trigger(registration: Registration, *, rules: bool) -> None:
    """Leave the trigger where it is."""


class AlarmService:
    """Schedules what the store holds; `refresh` is told of each change (give it to Feed as `changed`)."""

    def __init__(
        self,
        store: Store,
        fire: Fire,
        *,
        delete_trigger: DeleteTrigger = _keep_trigger,
        clock: Clock | None = None,
        delay_limit_s: int = 0,
        max_firing: int = 64,
        watcher: Watcher | None = None,
    ) -> None:
        self._watcher = watcher or _Nobody()
        self._store = store
        self._fire = fire
        self._delete_trigger = delete_trigger
        self._clock = clock or SystemClock()
        self._delay_limit_s = delay_limit_s
        self._gate = asyncio.Semaphore(max_firing)
        self._heap: list[tuple[int, int, str]] = []
        self._entries: dict[str, int] = {}
        self._numbers = itertools.count()
        self._firing: dict[str, asyncio.Task[None]] = {}
        self._steps = Steps()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def scheduled(self) -> int:
        """Number of alarms that wait for their time."""
        return len(self._entries)

    @property
    def running(self) -> bool:
        """Whether time is kept: no longer after the store failed."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Schedule what is in the store and begin."""
        for key, registration in await self._store.list():
            await self._plan(key, registration, self._clock.now_ms())
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Stop; fires under way are cancelled."""
        tasks = [task for task in (self._task, *self._firing.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None

    async def refresh(self, key: str) -> None:
        """Take up a new, changed or deleted registration."""
        registration = await self._store.get(key)
        self._entries.pop(key, None)
        if registration is None:
            self._steps.forget(key)
        else:
            await self._plan(key, registration, self._clock.now_ms())

    async def _plan(self, key: str, registration: Registration, after_ms: int) -> None:
        """Put the next fire on the heap, or switch off an alarm that has none."""
        if not registration["status"]["active"]:
            return
        try:
            due = self._next(key, registration, after_ms)
        except AlarmError as error:
            await self._disable(key, registration, error.message)
            return
        if due is None:
            expired = texts.ONCE_EXPIRED if registration.get("date") else texts.NEXT_AFTER_STOP
            await self._disable(key, registration, expired)
            return
        self._push(key, due)

    def _next(self, key: str, registration: Registration, after_ms: int) -> int | None:
        return self._steps.next_fire(key, registration, after_ms, delay_limit_s=self._delay_limit_s)

    async def _plan_anew(self, now: int) -> None:
        """The clock was set back: what was planned by the old time would not be fired until that comes again."""
        planned = set(self._entries)
        logger.warning("the clock was set back", extra={"action": "alarms-planned-anew", "count": len(planned)})
        for key, registration in await self._store.list():
            if key in planned and self._entries.pop(key, None) is not None:
                await self._plan(key, registration, now)

    def _push(self, key: str, due: int) -> None:
        number = next(self._numbers)
        self._entries[key] = number
        heapq.heappush(self._heap, (due, number, key))
        if self._heap[0][1] == number:
            self._woken.set()
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._entries):
            self._heap = [entry for entry in self._heap if self._entries.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)

    async def _work(self) -> None:
        while True:
            self._woken.clear()
            now = self._clock.now_ms()
            if self._steps.went_back(now):
                await self._plan_anew(now)
            while self._heap and self._heap[0][0] <= now:
                due, number, key = heapq.heappop(self._heap)
                if self._entries.get(key) == number:
                    del self._entries[key]
                    await self._tick(key, due, now)
            pause = (self._heap[0][0] - now) / 1000 if self._heap else 3600.0
            await self._clock.wait(self._woken, pause)

    async def _tick(self, key: str, due: int, now: int) -> None:
        """Begin the fire that is due and schedule the one after now."""
        registration = await self._store.get(key)
        if registration is None or not registration["status"]["active"]:
            return
        if key in self._firing:
            self._missed(key, "busy", 1)
        else:
            task = asyncio.create_task(self._fire_one(key, registration))
            self._firing[key] = task
            task.add_done_callback(lambda _: self._firing.pop(key, None))
        if not registration.get("date"):
            self._steps.fired(key, registration, tick=due, now=now)
            following = self._next(key, registration, max(now, due))
            if following is not None:
                self._push(key, following)
            self._missed(key, "late", self._skipped(registration, due, now))

    def _skipped(self, registration: Registration, due: int, now: int) -> int:
        """How many ticks after `due` have passed too."""
        for count in range(_MOST_COUNTED):
            following = schedule.next_fire(registration, due, delay_limit_s=self._delay_limit_s)
            if following is None or following > now:
                return count
            due = following
        return _MOST_COUNTED

    def _missed(self, key: str, reason: str, count: int) -> None:
        if count:
            self._watcher.missed(key, reason, count)
            facts = {"action": "alarm-missed", "alarm": key, "reason": reason, "count": count}
            logger.warning("ticks skipped: %s", reason, extra=facts)

    async def _fire_one(self, key: str, registration: Registration) -> None:
        try:
            async with self._gate:
                fired = await self._fire_until_answered(key, registration)
            await self._after_fire(key, registration, fired=fired)
        except Exception:
            logger.exception("alarm failed", extra={"action": "alarm-failed", "alarm": key})

    async def _fire_until_answered(self, key: str, registration: Registration) -> bool:
        """Fire with retries; false when the trigger did not take it."""
        throttled = 0
        for attempt in range(texts.RETRIES + 1):
            status = await self._fire_safely(key, registration)
            if 200 <= status < 400:
                return True
            if status in _LASTING and status not in _PASSING:
                await self._disable(key, registration, texts.refused(status), status_code=status)
                return False
            if attempt < texts.RETRIES:
                throttled += status == 429
                await self._clock.sleep(max(texts.RETRY_DELAY_S, float(throttled**2)))
        if throttled == texts.RETRIES:
            await self._disable(key, registration, texts.THROTTLED, status_code=429)
        return False

    async def _fire_safely(self, key: str, registration: Registration) -> int:
        try:
            return await self._fire(registration)
        except Exception as error:  # noqa: BLE001 - whatever the caller's fire raises counts as no answer
            logger.warning(
                "trigger not fired: %s",
                type(error).__name__,
                extra={"action": "alarm-unanswered", "alarm": key},
            )
            return 0

    async def _after_fire(self, key: str, registration: Registration, *, fired: bool) -> None:
        """End alarms that fired their last time."""
        if registration.get("date"):
            await self._end_once(key, registration)
        elif registration.get("stopDate"):
            if schedule.next_fire(registration, self._clock.now_ms()) is None:
                last = texts.LAST_INTERVAL if registration.get("minutes") else texts.LAST_CRON
                await self._disable(key, registration, last)
        elif fired and registration.get("maxTriggers", UNLIMITED) != UNLIMITED:
            await self._count(key)

    async def _end_once(self, key: str, registration: Registration) -> None:
        chosen = registration.get("deleteAfterFire", "false")
        if chosen == "false":
            await self._disable(key, registration, texts.FIRED_ONCE)
            return
        if await self._store.delete(key):
            self._entries.pop(key, None)
            self._steps.forget(key)
            await self._delete_trigger(registration, rules=chosen == "rules")

    async def _count(self, key: str) -> None:
        current = await self._store.get(key)
        if current is None:
            return
        left = current["triggersLeft"] - 1 if "triggersLeft" in current else current["maxTriggers"] - 1
        await self._store.put(key, {**current, "triggersLeft": left})
        if left <= 0:
            await self._disable(key, current, texts.MAX_REACHED)

    async def _disable(
        self, key: str, of: Registration, message: str, *, status_code: int | None = None
    ) -> None:
        """Switch an alarm off, unless it was replaced or changed since `of` was read."""
        current = await self._store.get(key)
        if current is None or current["status"] != of["status"] or not of["status"]["active"]:
            return
        self._entries.pop(key, None)
        now = self._clock.now_ms()
        await self._store.put(
            key, {**current, "status": feed.inactive(now, message, status_code=status_code)}
        )
        self._watcher.disabled(key, status_code)
        logger.info("alarm disabled: %s", message, extra={"action": "alarm-disabled", "alarm": key})
