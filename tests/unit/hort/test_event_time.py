"""Times as devices give them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import clock
from hort.event_time import LATEST_MS, parse
from hort.payload import Undecodable

NOON = 1_769_860_800_123
"""2026-01-31T12:00:00.123Z"""


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (NOON, "auto"),
        (NOON, "ms"),
        (NOON * 1_000 + 999, "us"),
        (NOON * 1_000_000 + 999_999, "ns"),
        (NOON / 1_000, "auto"),
        (NOON / 1_000, "s"),
        (NOON + 0.9, "ms"),
        (str(NOON), "auto"),
        (" 1769860800.1239 ", "auto"),
        ("2026-01-31T12:00:00.123Z", "auto"),
        ("2026-01-31T12:00:00.123999+00:00", "s"),
        ("2026-01-31T13:00:00.123+01:00", "auto"),
        ("2026-01-31 12:00:00.123", "auto"),
        ("20260131T120000.123Z", "auto"),
    ],
)
def test_same_moment(value: Any, unit: str) -> None:
    assert parse(value, unit=unit, latest_ms=LATEST_MS) == NOON


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-05-04T24:00:00Z", "2026-05-05T00:00:00Z"),
        ("2026-12-31 24:00", "2027-01-01T00:00:00Z"),
        ("20260504T240000.000+0200", "2026-05-04T22:00:00Z"),
        ("2026-06-30T23:59:60Z", "2026-07-01T00:00:00Z"),
        ("2026-07-01T01:59:60.5+02:00", "2026-07-01T00:00:00.500Z"),
        ("20260630T235960", "2026-07-01T00:00:00Z"),
    ],
)
def test_end_of_a_day_and_leap_seconds_are_the_next_moment(text: str, same: str) -> None:
    assert parse(text, unit="auto", latest_ms=LATEST_MS) == parse(same, unit="auto", latest_ms=LATEST_MS)


@pytest.mark.parametrize("text", ["2026-05-04T24:00:01Z", "2026-05-04T24:30Z", "2026-05-04T23:58:60Z", "2026-05-04T23:59:61Z", "24:00:00"])
def test_no_other_time_beyond_the_day_is_taken(text: str) -> None:
    with pytest.raises(Undecodable, match="neither a number nor an ISO 8601 date"):
        parse(text, unit="auto", latest_ms=LATEST_MS)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (-1, "s"),
        (NOON + 1, "ms"),
        (NOON, "s"),
        (1e300, "auto"),
        (float("inf"), "auto"),
        (float("nan"), "auto"),
        (10**400, "auto"),
        (True, "auto"),
        ([NOON], "auto"),
        ({}, "auto"),
        ("", "auto"),
        ("soon", "auto"),
        ("1e5", "auto"),
        ("1969-12-31T23:59:59Z", "auto"),
        ("0001-01-01T00:00:00+23:59", "auto"),
        ("9999-12-31T23:59:59-23:59", "auto"),
        ("x" * 10_000, "auto"),
    ],
)
def test_absurd(value: Any, unit: str) -> None:
    with pytest.raises(Undecodable) as caught:
        parse(value, unit=unit, latest_ms=NOON)

    assert caught.value.reason == "bad-time"
    assert len(caught.value.detail) < 300


@given(st.integers(0, 4_102_444_800_000))
def test_seconds_with_fraction_lose_no_millisecond(ms: int) -> None:
    assert parse(ms / 1_000, unit="s", latest_ms=LATEST_MS) == ms


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))
def test_iso_form_of_any_moment(moment: datetime) -> None:
    ms = parse(moment.isoformat(), unit="auto", latest_ms=LATEST_MS)

    assert clock.iso(ms)[:23] == moment.isoformat(timespec="milliseconds")[:23]
