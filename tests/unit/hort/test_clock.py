import time

import pytest

from hort import clock


def test_the_steady_clock_begins_with_the_machine_s_and_goes_on_when_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    steady, before = clock.Steady(), clock.now_ms()
    assert abs(steady() - before) < 60_000
    first = steady()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3_600 * 10**9)
    assert clock.now_ms() >= before + 3_600_000
    assert 0 <= steady() - first < 60_000
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600 * 10**9)
    assert 0 <= steady() - first < 60_000


def test_iso_is_utc_with_milliseconds() -> None:
    assert clock.iso(1_769_860_800_007) == "2026-01-31T12:00:00.007Z"
