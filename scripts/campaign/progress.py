"""What people see while a campaign runs: a bar with the time left on a terminal, a line each half minute elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from campaign.repeated import Repeated

BAR = 30
TERMINAL_EVERY_S, PLAIN_EVERY_S = 1.0, 30.0


class Progress:
    """Prints events as they come and the state of things in between; `state` answers a few words."""

    def __init__(self, seconds: float, state: Callable[[], str]) -> None:
        self._begin = time.monotonic()
        self._seconds = seconds
        self._state = state
        self._terminal = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._showing = Repeated("progress", TERMINAL_EVERY_S if self._terminal else PLAIN_EVERY_S, self._show)

    def say(self, text: str) -> None:
        """A line that stays."""
        passed = int(time.monotonic() - self._begin)
        with self._lock:
            print(f"{self._clear()}{passed // 60:02d}:{passed % 60:02d}  {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends the bar."""
        self._showing.close()
        print(self._clear(), end="", file=sys.stderr, flush=True)

    def _clear(self) -> str:
        return "\r\033[K" if self._terminal else ""

    def _show(self) -> None:
        if self._terminal:
            with self._lock:
                print(f"{self._clear()}{self._bar()}", end="", file=sys.stderr, flush=True)
        else:
            self.say(self._state())

    def _bar(self) -> str:
        passed = time.monotonic() - self._begin
        share = min(1.0, passed / self._seconds)
        left = max(0, int(self._seconds - passed))
        filled = round(BAR * share)
        return f"[{'#' * filled}{'.' * (BAR - filled)}] {left // 60}:{left % 60:02d} left, {self._state()}"
