"""One activation as one line for people: time, action, status, milliseconds, cold or warm, id."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

_INIT = "initTime"
_SEQUENCE = "sequence"


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
        return f"{at} {path} {status} - fire {activation_id}"
    return f"{at} {path} {status} {duration_ms} ms {_kind(annotations)} {activation_id}"


def _kind(annotations: Iterable[Mapping[str, Any]]) -> str:
    found = {pair["key"]: pair["value"] for pair in annotations}
    if found.get("kind") == _SEQUENCE:
        return _SEQUENCE
    return "cold" if _INIT in found else "warm"
