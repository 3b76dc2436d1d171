"""How long deleted registrations are still kept: by the calendar when a deletion is first seen, from then on by the steady clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container

from feeds.provider.registrations import Registration


class Graces:
    """Remembers when each grace ends; used by several threads."""

    def __init__(self, *, clock: Callable[[], int], steady: Callable[[], int]) -> None:
        self._clock = clock
        self._steady = steady
        self._ends: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()

    def over(self, registration: Registration) -> bool:
        """Whether it is deleted and its grace has passed."""
        if registration.deleted_at is None:
            return False
        grace = round(registration.config.grace_s * 1000)
        left = registration.deleted_at + grace - self._clock()
        with self._lock:
            end = self._ends.setdefault((registration.id, registration.deleted_at), self._steady() + min(max(0, left), grace))
        return self._steady() >= end

    def keep(self, names: Container[str]) -> None:
        """Forgets all others."""
        with self._lock:
            self._ends = {key: end for key, end in self._ends.items() if key[0] in names}
