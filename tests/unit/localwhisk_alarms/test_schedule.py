from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localwhisk.alarms import schedule, texts
from localwhisk.alarms.errors import AlarmError
from localwhisk.alarms.texts import Kind

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MINUTE = 60_000


def refused(kind: Kind, **params: Any) -> str:
    with pytest.raises(AlarmError) as error:
        schedule.create(kind, params, now_ms=NOW)
    assert error.value.status == 400
    return error.value.message


REFUSALS: list[tuple[Kind, dict[str, Any], str]] = [
    ("alarm", {}, texts.NO_CRON),
    ("alarm", {"cron": "x"}, "cron pattern 'x' is not valid"),
    ("alarm", {"cron": 5}, "cron pattern '5' is not valid"),
    ("alarm", {"cron": "* * * * *", "timezone": "Nowhere"}, "Invalid timezone."),
    ("alarm", {"cron": "* * * * *", "startDate": "x"}, "startDate parameter 'x' is not a valid Date"),
    ("alarm", {"cron": "* * * * *", "startDate": 5}, "startDate parameter '5' must be in the future"),
    ("alarm", {"cron": "* * * * *", "stopDate": NOW}, f"stopDate parameter '{NOW}' must be in the future"),
    (
        "alarm",
        {"cron": "* * * * *", "startDate": NOW + 9, "stopDate": NOW + 8},
        f"stopDate parameter '{NOW + 8}' must be greater than the startDate parameter '{NOW + 9}'",
    ),
    ("alarm", {"cron": "* * * * *", "stopDate": NOW + 5}, texts.FIRST_AFTER_STOP),
    ("alarm", {"cron": "* * * * *", "stopDate": NOW + MINUTE, "maxTriggers": 2}, texts.MAX_WITH_STOP),
    ("interval", {}, texts.NO_MINUTES),
    ("interval", {"minutes": 0}, texts.NO_MINUTES),
    ("interval", {"minutes": "1.5"}, texts.MINUTES_NOT_INTEGER),
    ("interval", {"minutes": "ten"}, texts.MINUTES_NOT_INTEGER),
    ("interval", {"minutes": True}, texts.MINUTES_NOT_INTEGER),
    ("interval", {"minutes": -1}, texts.MINUTES_NOT_POSITIVE),
    ("interval", {"minutes": 1, "stopDate": NOW + 9, "maxTriggers": 2}, texts.MAX_WITH_INTERVAL),
    ("once", {}, texts.NO_DATE),
    ("once", {"date": "never"}, "date parameter 'never' is not a valid Date"),
    ("once", {"date": NOW - 1}, f"date parameter '{NOW - 1}' must be in the future"),
    ("once", {"date": NOW + 1, "deleteAfterFire": "maybe"}, texts.BAD_DELETE_AFTER_FIRE),
    ("once", {"date": NOW + 1, "trigger_payload": [1]}, texts.BAD_PAYLOAD),
]


@pytest.mark.parametrize(("kind", "params", "message"), REFUSALS)
def test_refusals_have_the_real_texts(kind: Kind, params: dict[str, Any], message: str) -> None:
    assert refused(kind, **params) == message


@pytest.mark.parametrize(
    ("given_payload", "fired"),
    [({"a": 1}, {"a": 1}), ("text", {"payload": "text"}), ("", {}), (None, {}), ({}, {})],
)
def test_forms_of_the_payload(given_payload: Any, fired: dict[str, Any]) -> None:
    made = schedule.create("interval", {"minutes": 1, "trigger_payload": given_payload}, now_ms=NOW)
    assert made["payload"] == fired


def test_an_interval_begins_half_a_minute_from_now() -> None:
    made = schedule.create("interval", {"minutes": "5"}, now_ms=NOW)
    assert made["startDate"] == NOW + 30_000
    assert schedule.next_fire(made, NOW) == NOW + 30_000
    assert schedule.next_fire(made, NOW + 30_000) == NOW + 30_000 + 5 * MINUTE


def test_a_start_date_holds_an_alarm_back_and_may_be_a_tick() -> None:
    made = schedule.create("alarm", {"cron": "0 * * * *", "startDate": NOW + 60 * MINUTE}, now_ms=NOW)
    assert schedule.next_fire(made, NOW) == NOW + 60 * MINUTE
    late = schedule.create("alarm", {"cron": "0 * * * *", "startDate": NOW + 61 * MINUTE}, now_ms=NOW)
    assert schedule.next_fire(late, NOW) == NOW + 120 * MINUTE


def test_after_the_stop_date_nothing_fires() -> None:
    made = schedule.create("alarm", {"cron": "* * * * *", "stopDate": NOW + 2 * MINUTE}, now_ms=NOW)
    assert schedule.next_fire(made, NOW + MINUTE) == NOW + 2 * MINUTE
    assert schedule.next_fire(made, NOW + 2 * MINUTE) is None


def test_a_date_fires_once() -> None:
    made = schedule.create("once", {"date": "2026-01-01T00:01:00Z"}, now_ms=NOW)
    assert made["date"] == "2026-01-01T00:01:00Z"
    assert schedule.next_fire(made, NOW) == NOW + MINUTE
    assert schedule.next_fire(made, NOW + MINUTE) is None


@given(st.integers(1, 10_000), st.integers(0, 10**9), st.integers(-(10**6), 10**10))
def test_intervals_stay_on_the_grid_of_their_start(minutes: int, start: int, after: int) -> None:
    registration = {"minutes": minutes, "startDate": NOW + start}
    due = schedule.next_fire(registration, NOW + after)
    assert due is not None
    assert due > NOW + after
    assert (due - NOW - start) % (minutes * MINUTE) == 0
    assert due == NOW + start or due - (NOW + after) <= minutes * MINUTE


def updated(old: dict[str, Any], **params: Any) -> dict[str, Any]:
    return schedule.update(old, params, now_ms=NOW)


CRON = {"cron": "* * * * *", "timezone": "UTC", "stopDate": NOW + 10 * MINUTE}


def test_updates_change_what_belongs_to_the_kind() -> None:
    assert updated(CRON, cron="*/5 * * * *", minutes=3, date=NOW + 5) == {"cron": "*/5 * * * *"}
    assert updated({"minutes": 5}, minutes="7", cron="x") == {"minutes": 7}
    assert updated({"date": NOW + 5}, date=NOW + 9, deleteAfterFire=True) == {
        "date": NOW + 9,
        "deleteAfterFire": "true",
    }
    assert updated(CRON, strict=False, trigger_payload="x") == {"payload": {"payload": "x"}, "strict": False}


@pytest.mark.parametrize(
    ("old", "params", "message"),
    [
        (CRON, {}, texts.NOTHING_TO_UPDATE),
        (CRON, {"minutes": 5}, texts.NOTHING_TO_UPDATE),
        (CRON, {"cron": "x"}, "cron pattern 'x' is not valid"),
        (CRON, {"timezone": "x"}, "Invalid timezone."),
        (
            CRON,
            {"startDate": NOW + 10 * MINUTE},
            texts.start_not_before_stop(NOW + 10 * MINUTE, NOW + 10 * MINUTE),
        ),
        ({"minutes": 5}, {"minutes": 1.5}, texts.MINUTES_NOT_INTEGER),
        ({"date": NOW + 1}, {"date": "x"}, "date parameter 'x' is not a valid Date"),
    ],
)
def test_updates_that_are_refused(old: dict[str, Any], params: dict[str, Any], message: str) -> None:
    with pytest.raises(AlarmError) as error:
        updated(old, **params)
    assert error.value.message == message


@given(st.text(max_size=30), st.integers(0, 59))
def test_the_spread_is_fixed_by_the_name_and_bounded(name: str, limit: int) -> None:
    registration = {"cron": "* * * * *", "name": name}
    assert 0 <= schedule.spread_second(registration, limit) <= limit
    assert schedule.spread_second(registration, limit) == schedule.spread_second(registration, limit)
    assert schedule.spread_second({**registration, "strict": "True"}, limit) == 0
