"""What people read in a terminal: one activation as one line (time, action, status, milliseconds, cold or warm, id), and texts of others.

What an action printed and what a client sent may hold control characters, which make a terminal hide, forge or do things.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

_INIT = "initTime"
_SEQUENCE = "sequence"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""All but the tab, and what turns the direction of a line or ends it; halves of surrogate pairs, which no terminal takes."""
_Info = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def printable(text: str) -> str:
    """The text with its control characters spelled out."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class Formatter(logging.Formatter):
    """Spells control characters out, so that one record is one line, or one of a traceback for each of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # as logging calls it
        """The line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: _Info) -> str:  # noqa: N802  # as logging calls it
        """The traceback."""
        return "\n".join(printable(one) for one in super().formatException(ei).split("\n"))


def line(  # the columns of a line
    *,
    start_ms: int,
    path: str,
    status: str,
    duration_ms: int | None,
    annotations: Iterable[Mapping[str, Any]],
    activation_id: str,
) -> str:
    """The line, without its end; `duration_ms` None means a fire, which has no end."""
    at = time.strftime("%H:%M:%S", time.localtime(start_ms / 1000))
    if duration_ms is None:
        return printable(f"{at} {path} {status} - fire {activation_id}")
    return printable(f"{at} {path} {status} {duration_ms} ms {_kind(annotations)} {activation_id}")


def _kind(annotations: Iterable[Mapping[str, Any]]) -> str:
    found = {pair["key"]: pair["value"] for pair in annotations}
    if found.get("kind") == _SEQUENCE:
        return _SEQUENCE
    return "cold" if _INIT in found else "warm"
