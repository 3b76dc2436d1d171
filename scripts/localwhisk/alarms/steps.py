"""What an alarm service remembers of its fires, so that a clock that is set neither stops an alarm nor makes up ticks.

A clock that went back: ticks are planned anew from its time on. Those of the time that comes again are fired again, as it is their
time; only the very tick that was fired last, perhaps ahead of time, is not. A clock that went ahead is no different from a pause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from localwhisk.alarms import schedule
from localwhisk.alarms.schedule import Registration

BACK_MS = 1_000
"""A clock that is set back by less is waited for."""
ON_TIME_MS = 10_000
"""A first tick fired within this time of its own was no doing of a clock that jumped over the alarm's beginning."""


@dataclass(frozen=True, slots=True)
class _Fired:
    tick: int
    begun: Any
    """The alarm's startDate where it had surely come, else something that no alarm has."""


class Steps:
    """Looks at each time that the service sees."""

    def __init__(self) -> None:
        self._newest = 0
        self._fired: dict[str, _Fired] = {}

    def went_back(self, now: int) -> bool:
        """Whether the clock was set back since the last look."""
        before, self._newest = self._newest, now
        return now < before - BACK_MS

    def fired(self, key: str, registration: Registration, *, tick: int, now: int) -> None:
        """A tick is fired."""
        start, old = registration.get("startDate"), self._fired.get(key)
        begun = now - tick < ON_TIME_MS or (old is not None and old.begun == start)
        self._fired[key] = _Fired(tick, start if begun else object())

    def forget(self, key: str) -> None:
        """The alarm is gone."""
        self._fired.pop(key, None)

    def next_fire(self, key: str, registration: Registration, after_ms: int, *, delay_limit_s: int) -> int | None:
        """As `schedule.next_fire`, without the tick that was fired last; an alarm that had begun does not wait to begin again."""
        fired = self._fired.get(key)
        begun = fired is not None and fired.begun == registration.get("startDate")
        due = schedule.next_fire(registration, after_ms, delay_limit_s=delay_limit_s, begun=begun)
        if fired is not None and due == fired.tick:
            due = schedule.next_fire(registration, due, delay_limit_s=delay_limit_s, begun=begun)
        return due
