from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localwhisk.alarms import cron
from localwhisk.alarms.errors import AlarmError


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("pattern", "zone", "after", "due"),
    [
        ("*/30 * * * * *", None, "2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z"),
        ("*/30 * * * * *", None, "2026-01-01T00:00:29.999Z", "2026-01-01T00:00:30Z"),
        ("*/2 * * * *", None, "2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"),
        ("0 9 8 * *", None, "2026-01-09T00:00:00Z", "2026-02-08T09:00:00Z"),
        ("0 9 * * *", "America/Chicago", "2026-01-01T00:00:00Z", "2026-01-01T15:00:00Z"),
        ("0 9 * * *", "america/chicago", "2026-07-01T15:00:00Z", "2026-07-02T14:00:00Z"),
        ("0 0 1 1 *", None, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("0 0 29 2 *", None, "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 13 * fri", None, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("0 12 * * 7", None, "2026-01-01T00:00:00Z", "2026-01-04T12:00:00Z"),
        ("0 0 * jan mon-wed", None, "2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z"),
        ("@daily", None, "2026-01-01T10:00:00Z", "2026-01-02T00:00:00Z"),
        # the hour that does not exist, and the one that comes twice
        ("30 2 * * *", "America/Chicago", "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"),
        ("30 1 * * *", "America/Chicago", "2026-11-01T06:30:00Z", "2026-11-02T07:30:00Z"),
    ],
)
def test_the_next_tick(pattern: str, zone: str | None, after: str, due: str) -> None:
    assert cron.next_after(pattern, zone, ms(after)) == ms(due)


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "* * *", "61 * * * *", "* 24 * * *", "* * * 13 *", "* * * * 9", "a b c d e", "*/0 * * * *"),
        *("0 0 31 2 *", "* * * * * * *", "5-1 * * * *"),
    ],
)
def test_a_wrong_pattern_is_refused_with_the_real_text(pattern: str) -> None:
    with pytest.raises(AlarmError) as error:
        cron.check(pattern, None, now_ms=0, five_fields_only=False)
    assert error.value.message == f"cron pattern '{pattern}' is not valid"
    assert error.value.status == 400


def test_a_wrong_zone_has_its_own_text() -> None:
    with pytest.raises(AlarmError, match=r"^Invalid timezone\.$"):
        cron.check("* * * * *", "Mars/Olympus", now_ms=0, five_fields_only=False)


@pytest.mark.parametrize("pattern", ["*/30 * * * * *", "5 * * * * *"])
def test_an_operator_may_allow_five_fields_only(pattern: str) -> None:
    with pytest.raises(AlarmError, match="limited to 5 fields"):
        cron.check(pattern, None, now_ms=0, five_fields_only=True)
    cron.check("0 * * * * *", None, now_ms=0, five_fields_only=True)


def test_a_second_within_the_minute_spreads_five_field_alarms_only() -> None:
    assert cron.next_after("* * * * *", None, ms("2026-01-01T00:00:20Z"), second=17) == ms(
        "2026-01-01T00:01:17Z"
    )
    assert cron.next_after("* * * * *", None, ms("2026-01-01T00:00:00Z"), second=17) == ms(
        "2026-01-01T00:00:17Z"
    )
    assert cron.next_after("0 * * * * *", None, ms("2026-01-01T00:00:20Z"), second=17) == ms(
        "2026-01-01T00:01:00Z"
    )


ZONES = st.sampled_from(["UTC", "America/Chicago", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"])
PATTERNS = st.sampled_from(["*/15 * * * * *", "*/7 * * * *", "0 3 * * *", "30 1 * * 0", "10 4 1 */2 *"])


@given(PATTERNS, ZONES, st.integers(1_700_000_000_000, 1_900_000_000_000))
def test_ticks_are_after_the_moment_whole_seconds_and_grow(pattern: str, zone: str, after: int) -> None:
    first = cron.next_after(pattern, zone, after)
    second = cron.next_after(pattern, zone, first)
    assert after < first < second
    assert first % 1000 == 0
    assert cron.next_after(pattern, zone, first - 1) == first


@given(st.integers(1_700_000_000_000, 1_900_000_000_000), st.integers(1, 59))
def test_no_drift_whatever_the_step(after: int, step: int) -> None:
    due = cron.next_after(f"*/{step} * * * * *", None, after)
    assert datetime.fromtimestamp(due / 1000, UTC).second % step == 0
    assert due - after <= step * 1000
