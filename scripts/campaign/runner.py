"""Carries a plan out: each fault in a thread of its own at its time, a few at once, never two on the same part."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from campaign.faults import KINDS
from campaign.faults.kind import Impossible
from campaign.plan import Planned
from campaign.repeated import Repeated
from campaign.stage import Stage

AT_ONCE = 3
"""Faults under way at a time at most."""
LOOK_S = 1.0


@dataclass
class Done:
    """A fault that was injected: seconds since the epoch, what it chose; `failed` says why it could not be done or undone."""

    planned: Planned
    began_s: float
    ended_s: float = 0.0
    note: str = ""
    failed: str = ""
    impossible: bool = False


@dataclass
class Runner:
    """One campaign's faults."""

    stage: Stage
    say: Callable[[str], None]
    done: list[Done] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    """Parts that died though nobody killed them."""

    def __post_init__(self) -> None:
        self._slots = threading.Semaphore(AT_ONCE)
        self._held: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def run(self, plan: Sequence[Planned], *, seconds: float) -> None:
        """Injects what can be begun in time, waits for the last one to end, and looks after parts that die by themselves."""
        begin = time.monotonic()
        guard = Repeated("guard", LOOK_S, self.revive)
        threads = []
        try:
            for planned in plan:
                time.sleep(max(0.0, begin + planned.at_s - time.monotonic()))
                if time.monotonic() - begin > seconds:
                    break
                self._slots.acquire()  # released by the fault's own thread
                thread = threading.Thread(target=self._inject, args=(planned,), name=planned.kind)
                thread.start()
                threads.append(thread)
            time.sleep(max(0.0, begin + seconds - time.monotonic()))
        finally:  # also of a campaign that is interrupted: what heals must not start parts that are being taken down
            for thread in threads:
                thread.join()
            guard.close()

    def _inject(self, planned: Planned) -> None:
        kind = KINDS[planned.kind]
        try:
            with ExitStack() as held:
                for name in sorted(kind.concerns):
                    held.enter_context(self._held[name])
                    if name in self.stage.parts:
                        held.enter_context(self.stage.parts[name].busy)
                self._carry_out(planned)
        finally:
            self._slots.release()

    def _carry_out(self, planned: Planned) -> None:
        done = Done(planned, time.time())
        try:
            with KINDS[planned.kind].inject(self.stage, random.Random(planned.seed)) as note:
                done.note = note
                self.say(f"{planned.kind}: {note}, for {planned.for_s:g} s")
                time.sleep(planned.for_s)
        except Impossible as error:
            done.note, done.impossible = str(error), True
        except Exception as error:  # noqa: BLE001 - whatever a fault runs into is part of the report
            done.failed = f"{type(error).__name__}: {error}"
            self.say(f"{planned.kind} failed: {done.failed}")
        done.ended_s = time.time()
        self.done.append(done)

    def revive(self) -> None:
        """Starts parts that died by themselves, and remembers that they did."""
        for name, part in self.stage.parts.items():
            busy = self.stage.parts["provider"].busy if name.startswith("provider") else part.busy
            if part.pid == 0 and busy.acquire(blocking=False):
                try:
                    if part.pid == 0:
                        self.crashes.append(f"{name} ended by itself at {time.strftime('%H:%M:%S')}")
                        self.say(self.crashes[-1])
                        part.start()
                finally:
                    busy.release()
