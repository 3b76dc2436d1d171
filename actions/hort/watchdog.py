"""A limit on an action's own work: what hangs is ended long before OpenWhisk's time limit, and its batch is tried again at once.

The kernel ends the process (SIGALRM, see setitimer(2)), so that no loop, no lock and no C code holds it. Waits for Redis and
Elasticsearch do not count, they have limits of their own: what these hold up is no batch's fault. Outside of OpenWhisk nothing is ended.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator
from signal import ITIMER_REAL, setitimer

LIMIT_S = 10.0
"""For a whole batch. The largest ones take a second; one that takes longer for want of a processor is cut, and goes through in parts."""
PART_S = 5.0
"""For each part of a batch that is searched for what stopped it."""


_limited = contextvars.ContextVar("limited", default=False)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Limit what is inside."""
    if "__OW_DEADLINE" not in os.environ:
        yield
        return
    token = _limited.set(True)
    setitimer(ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        setitimer(ITIMER_REAL, 0)
        _limited.reset(token)


def restart(limit_s: float | None = None) -> None:
    """Begin a piece of the work with a limit of its own; without one as a whole batch has it."""
    if _limited.get():
        setitimer(ITIMER_REAL, LIMIT_S if limit_s is None else limit_s)


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
