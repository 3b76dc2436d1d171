"""The time of an event as its device gives it: epoch seconds or milliseconds (and smaller), or ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from hort.payload import Undecodable

UNITS = ("auto", "s", "ms", "us", "ns")
LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999: later ones have no ISO 8601 date of four digits."""

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_AUTO_SECONDS_BELOW = 100_000_000_000
"""As seconds this is the year 5138, as milliseconds 1973: a number from here on counts milliseconds."""
_LARGEST = 1e20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MIDNIGHT = re.compile(r"^([\dW-]+[T ])24((?::?00){1,2}(?:[.,]0+)?(?:Z|[+-].*)?)$", re.ASCII | re.IGNORECASE)
_LEAP_SECOND = re.compile(r"^([\dW-]+[T ]\d\d(:?)59\2)60((?:[.,]\d+)?(?:Z|[+-].*)?)$", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"^\s*[+-]?\d{1,20}(\.\d{0,12})?\s*$", re.ASCII)


def parse(value: Any, *, unit: str, latest_ms: int) -> int:
    """Milliseconds since the epoch, truncated; Undecodable `bad-time` where there are none or absurd ones.

    A date without an offset is taken as UTC. Before 1970 and after `latest_ms` is absurd.
    """
    ms = _from_text(value, unit) if isinstance(value, str) else _from_number(value, unit)
    if not 0 <= ms <= min(latest_ms, LATEST_MS):
        raise Undecodable("bad-time", f"time {_shown(value)} is before 1970 or too far in the future")
    return ms


def _from_number(value: Any, unit: str) -> int:
    if type(value) not in (int, float) or not abs(value) <= _LARGEST:
        raise Undecodable("bad-time", f"time {_shown(value)} is neither a number nor a date")
    if unit == "auto":
        unit = "s" if abs(value) < _AUTO_SECONDS_BELOW else "ms"
    per_second = _PER_SECOND[unit]
    if isinstance(value, int):
        return value * 1_000 // per_second
    number: float = value
    # A double holds today's epoch seconds to less than a microsecond: rounding there undoes what binary fractions add.
    return round(number * (1_000_000 / per_second)) // 1_000


def _from_text(value: str, unit: str) -> int:
    if _NUMBER.match(value):
        text = value.strip()
        return _from_number(float(text) if "." in text else int(text), unit)
    text, more = _without_edges(value.strip())
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH + more) // _MILLISECOND
    except (ValueError, OverflowError) as error:
        raise Undecodable(
            "bad-time", f"time {_shown(value)} is neither a number nor an ISO 8601 date"
        ) from error


def _without_edges(text: str) -> tuple[str, timedelta]:
    """The end of a day (24:00:00) and a leap second (:60) as what Python reads, and what is to be added; as POSIX counts."""
    if found := _MIDNIGHT.match(text):
        return f"{found[1]}00{found[2]}", timedelta(days=1)
    if found := _LEAP_SECOND.match(text):
        return f"{found[1]}59{found[3]}", timedelta(seconds=1)
    return text, timedelta(0)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "..."
