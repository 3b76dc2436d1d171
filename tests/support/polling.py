"""Wait for a condition with a deadline, instead of sleeping for a guessed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T], *, timeout_s: float = 10.0, interval_s: float = 0.05, what: str = "condition"
) -> T:
    """Call `condition` until it returns something true, and return that; raises AssertionError that names `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {timeout_s:g} s; last value: {value!r}")
        time.sleep(interval_s)
