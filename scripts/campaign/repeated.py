"""Something that is done over and over beside the campaign."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Repeated:
    """Does `work` each `every_s` seconds in a thread of its own, until it is closed."""

    def __init__(self, name: str, every_s: float, work: Callable[[], object]) -> None:
        self._every_s = every_s
        self._work = work
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Waits for the last time to end; a second call does nothing."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self._work()
