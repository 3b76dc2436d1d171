"""Dates as alarm parameters give them: epoch milliseconds or a text that JavaScript's Date takes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_YEAR_OR_MONTH = re.compile(r"\d{4}(-\d{2})?")
_LATEST_MS = 253_402_300_799_000


def parse(value: object) -> int | None:
    """Read epoch milliseconds; None for what is no date. A text without a zone means UTC."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return int(value) if abs(value) <= _LATEST_MS else None
    if isinstance(value, str):
        return _parse_text(value.strip())
    return None


def _parse_text(text: str) -> int | None:
    try:
        if _YEAR_OR_MONTH.fullmatch(text):
            moment = datetime(int(text[:4]), int(text[5:7] or 1), 1, tzinfo=UTC)
        elif "-" in text[1:]:
            moment = datetime.fromisoformat(text)
        else:
            moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def iso(ms: int) -> str:
    """Write epoch milliseconds to the second, as moment's format does for UTC."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
