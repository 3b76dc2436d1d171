"""A limit on an action's own work: what hangs is ended long before OpenWhisk's time limit, and its batch is tried again at once.

The kernel ends the process (SIGPROF and SIGALRM, see setitimer(2)), so that no loop, no lock and no C code holds it. What is limited
is processor time: a large batch needs no more of it where the machine is busy or gives an action a tenth of a processor. What
hangs without using any is ended by the clock, after twice as long. Waits for Redis and Elasticsearch stop the clock, they have
limits of their own: what these hold up is no batch's fault. Outside of OpenWhisk nothing is ended.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator
from signal import ITIMER_PROF, ITIMER_REAL, setitimer

LIMIT_S = 10.0
"""Processor time for a whole batch. The largest ones take a second or two; one that takes longer is cut, and goes through in parts."""
PART_S = 5.0
"""For each part of a batch that is searched for what stopped it."""
ALONE_S = 60.0
"""By the clock, for what cannot be cut further: to end it before OpenWhisk does helps no neighbour, and may bury what is only slow."""
CLOCK = 2
"""The limit by the clock is so many times as long."""


_limited = contextvars.ContextVar("limited", default=False)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Limit what is inside."""
    if "__OW_DEADLINE" not in os.environ:
        yield
        return
    token = _limited.set(True)
    restart()
    try:
        yield
    finally:
        _set(0, 0)
        _limited.reset(token)


def restart(limit_s: float | None = None, *, alone: bool = False, waits_s: float = 0) -> None:
    """Begin a piece of the work, with a whole batch's limit where it has none of its own; others may take so long in it."""
    if _limited.get():
        limit_s = LIMIT_S if limit_s is None else limit_s
        _set(limit_s + waits_s, (ALONE_S if alone else limit_s * CLOCK) + waits_s)


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Stop the clock while somebody else works; waits may hold waits."""
    if not _limited.get():
        yield
        return
    token = _limited.set(False)
    left, _ = setitimer(ITIMER_REAL, 0)
    try:
        yield
    finally:
        _limited.reset(token)
        setitimer(ITIMER_REAL, left)


def _set(processor_s: float, clock_s: float) -> None:
    setitimer(ITIMER_PROF, processor_s)
    setitimer(ITIMER_REAL, clock_s)
