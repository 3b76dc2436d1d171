"""Structured logs: one JSON line an event, with a small vocabulary of `action`; never a key, a password or a payload."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading

from hort import clock

_LOCK = threading.Lock()
_SHOWN = ("alarm", "trigger", "reason", "count")
"""Facts of a relayed record that are shown beside its text."""


def log(action: str, *, error: object = None, **facts: object) -> None:
    """Writes one line to standard error, as services do; where a disk is full the line is lost, and nobody who tells of trouble stops for it."""
    line = {"time": clock.iso(clock.now_ms()), "level": "error" if error is not None else "info", "action": action, **facts}
    if error is not None:
        line["error"] = str(error)
    with _LOCK, contextlib.suppress(OSError):
        print(json.dumps(line, default=str), file=sys.stderr, flush=True)


def relay(logger: str) -> None:
    """What a package says through Python's logging becomes lines of ours."""
    found = logging.getLogger(logger)
    found.handlers = [_Relay()]
    found.setLevel(logging.INFO)
    found.propagate = False


class _Relay(logging.Handler):
    """Takes `action` and a few facts from a record's `extra`."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line a record; of an exception its kind."""
        facts = {name: getattr(record, name) for name in _SHOWN if hasattr(record, name)}
        kind = record.exc_info[0] if record.exc_info else None
        text = record.getMessage() if kind is None else f"{record.getMessage()}: {kind.__name__}"
        error = text if record.levelno >= logging.WARNING else None
        log(getattr(record, "action", "log"), error=error, message=text, **facts)
