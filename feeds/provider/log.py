"""Structured logs: one JSON line an event, with a small vocabulary of `action`; never a key, a password or a payload."""

from __future__ import annotations

import json
import sys
import threading

from hort import clock

_LOCK = threading.Lock()


def log(action: str, *, error: object = None, **facts: object) -> None:
    """Writes one line to standard error, as services do."""
    line = {"time": clock.iso(clock.now_ms()), "level": "error" if error is not None else "info", "action": action, **facts}
    if error is not None:
        line["error"] = str(error)
    with _LOCK:
        print(json.dumps(line, default=str), file=sys.stderr, flush=True)
