"""Cron patterns of five fields, or of six with seconds first, in a time zone.

Months are 1 to 12 and Sunday is 0 or 7, as the package's documentation says by naming crontab. When both the day of
the month and the weekday are given, either one matches. Around a change of the clock cronsim follows Debian's cron.
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from cronsim import CronSim, CronSimError

from localwhisk.alarms import texts
from localwhisk.alarms.errors import AlarmError

_PRESETS = {
    "@secondly": "* * * * * *",
    "@minutely": "* * * * *",
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@weekdays": "0 0 * * 1-5",
    "@weekends": "0 0 * * 0,6",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


@lru_cache(maxsize=1)
def _zone_names() -> dict[str, str]:
    return {name.lower(): name for name in zoneinfo.available_timezones()}


@lru_cache(maxsize=256)
def zone(name: str | None) -> tzinfo:
    """Find a time zone by its IANA name in any case, UTC when none is given; raises AlarmError."""
    if not name:
        return UTC
    known = _zone_names().get(str(name).lower())
    if known is None:
        raise AlarmError(texts.BAD_TIMEZONE)
    return UTC if known in ("UTC", "Etc/UTC") else zoneinfo.ZoneInfo(known)


def has_seconds(pattern: str) -> bool:
    """Tell whether a pattern asks for more than one tick a minute may have."""
    fields = pattern.split()
    return len(fields) > 5 and fields[-6] != "0"


def next_after(pattern: str, timezone: str | None, ms: int, *, second: int = 0) -> int:
    """Compute the first tick strictly after an epoch millisecond; raises AlarmError.

    `second` moves the ticks of a five-field pattern within their minute.
    """
    where = zone(timezone)
    pattern = _PRESETS.get(pattern.strip().lower(), pattern)
    delay = second if len(pattern.split()) == 5 else 0
    try:
        start = datetime.fromtimestamp(ms // 1000 - delay, where)
        moment = next(CronSim(pattern, start))
    except (CronSimError, StopIteration, ValueError, OverflowError):
        raise AlarmError(texts.bad_cron(pattern)) from None
    return round(moment.timestamp() + delay) * 1000


def check(pattern: object, timezone: object, *, now_ms: int, five_fields_only: bool) -> None:
    """Raise AlarmError for a pattern that is wrong, never due, or finer than allowed."""
    if timezone is not None and not isinstance(timezone, str):
        raise AlarmError(texts.BAD_TIMEZONE)
    if not isinstance(pattern, str):
        raise AlarmError(texts.bad_cron(pattern))
    next_after(pattern, timezone, now_ms)
    if five_fields_only and has_seconds(pattern):
        raise AlarmError(texts.ONLY_FIVE_FIELDS)
