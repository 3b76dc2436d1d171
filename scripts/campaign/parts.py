"""The processes of the suite under test: each can be killed, stopped, continued and started again with its state."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from lib.stack.process import Process, start_time

START_TRIES = 5
START_AGAIN_S = 2.0
END_S = 60.0


class Part:
    """One process; `begin` starts it, waits until it serves, and answers its process id."""

    def __init__(self, name: str, begin: Callable[[], int]) -> None:
        self.name = name
        self._begin = begin
        self._process: Process | None = None
        self.busy = threading.Lock()
        """Held by whoever does something to it; who finds it dead while nobody holds this has found a crash."""

    @property
    def pid(self) -> int:
        """Its process id; 0 where it does not run."""
        return self._process.pid if self._process and self._process.alive() else 0

    def start(self) -> None:
        """Starts it; tried again a few times, as other faults may be under way."""
        for attempt in range(1, START_TRIES + 1):
            try:
                pid = self._begin()
            except Exception:
                if attempt == START_TRIES:
                    raise
                time.sleep(START_AGAIN_S)
            else:
                self._process = Process(pid, start_time(pid) or 0)
                return

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        if self._process and not self._process.wait(END_S):
            raise RuntimeError(f"{self.name} is still there {END_S:g} s after SIGKILL")

    def end(self) -> None:
        """SIGTERM, and SIGKILL to one that does not end."""
        if self._process:
            self._process.stop(grace=END_S)

    def signal(self, number: int) -> None:
        """Sends a signal where it runs."""
        if self._process:
            self._process.signal(number)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """SIGSTOP now, SIGCONT at the end."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


def signalled(pids: list[int], number: int) -> int:
    """Sends a signal to each that is still there; how many that were."""
    done = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            done += 1
    return done
