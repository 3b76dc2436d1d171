"""The last windows: on a busy machine one that is due may still be closed, or wait for its turn, when the demo ends."""

from __future__ import annotations

import time
from typing import Any, Protocol

import redis
import requests

LOOK_EVERY_S = 0.2
ROUNDS = 2
"""Closes in a row that find nothing to write: one that finds another busy writes nothing, either."""


class Invokes(Protocol):
    """As `demonstrate.whisk.Whisk`."""

    def invoke(self, action: str) -> dict[str, Any]:
        """Result of a blocking invocation."""


class Looks(Protocol):
    """As `demonstrate.facts.Reader`."""

    def closing(self) -> bool:
        """Whether windows are being closed or written."""


def close_rest(whisk: Invokes, reader: Looks, *, deadline: float) -> bool:
    """Closes what is due, with the ticks switched off; False when that is not done at `deadline` (seconds, monotonic)."""
    idle = 0
    while idle < ROUNDS:
        if time.monotonic() > deadline:
            return False
        idle = idle + 1 if _nothing_to_close(whisk, reader) else 0
        if not idle:
            time.sleep(LOOK_EVERY_S)
    return True


def _nothing_to_close(whisk: Invokes, reader: Looks) -> bool:
    try:
        return not whisk.invoke("hort/close-windows").get("stored") and not reader.closing()
    except (redis.RedisError, requests.RequestException, RuntimeError):
        return False  # its activation or the part's log says why; the next one tries again
