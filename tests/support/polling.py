"""Wait for a condition with a deadline, instead of sleeping for a guessed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
STALL_S = 1.0
"""A look counts as no longer than this: a machine that stood still for a while has not waited meanwhile."""


def wait_until(
    condition: Callable[[], T], *, timeout_s: float = 120.0, interval_s: float = 0.05, what: str = "condition"
) -> T:
    """Call `condition` until it returns something true, and return that; raises AssertionError that names `what` after `timeout_s`."""
    spent, last = 0.0, time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        if spent > timeout_s:
            raise AssertionError(f"{what} did not happen within {timeout_s:g} s; last value: {value!r}")
        time.sleep(interval_s)
        now = time.monotonic()
        spent, last = spent + min(now - last, STALL_S), now
