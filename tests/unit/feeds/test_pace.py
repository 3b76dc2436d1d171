import pytest

from feeds.provider.pace import Gate, Pace, next_minute

START = 1_700_000_040_000  # a calendar minute begins


def test_the_first_fire_goes_at_once() -> None:
    assert Pace(45).wait(START) == 0


def test_fires_are_evenly_spread() -> None:
    pace = Pace(60)
    pace.count(START)
    assert pace.wait(START) == 1_000
    assert pace.wait(START + 400) == 600
    assert pace.wait(START + 1_000) == 0


def test_a_minute_s_budget_ends_with_the_minute() -> None:
    pace = Pace(2)
    pace.count(START + 20_000)
    pace.count(START + 55_000)
    assert pace.wait(START + 59_000) == 26_000
    assert pace.wait(START + 86_000) == 0


def test_a_budget_spent_waits_for_the_next_minute() -> None:
    pace = Pace(1000)
    for number in range(1000):
        pace.count(START + number)
    assert pace.wait(START + 2_000) == 58_000


def test_a_clock_that_jumps_back_does_not_stop_the_fires_for_long() -> None:
    pace = Pace(60)
    pace.count(START + 86_400_000)
    assert pace.wait(START) <= 60_000


def test_next_minute() -> None:
    assert next_minute(START) == START + 60_000
    assert next_minute(START + 59_999) == START + 60_000


def test_the_gate_is_open_when_a_fresh_batch_could_be_fired() -> None:
    gate = Gate(Pace(60), max_unacked=2, max_batches=5, max_bytes=100)
    assert gate.wait(START) == 0
    gate.batches, gate.in_flight = 1, 1
    assert gate.wait(START) == 0
    gate.batches = 2
    assert gate.wait(START) > 0, "another batch waits already"
    gate.in_flight = 2
    assert gate.wait(START) > 0, "too many are unfinished"
    gate.batches, gate.in_flight, gate.not_before = 0, 0, START + 700
    assert gate.wait(START) == 700
    gate.firing = False
    assert gate.wait(START + 1_000) > 0


def test_what_is_put_while_the_journal_is_looked_at_counts() -> None:
    gate = Gate(Pace(60), max_unacked=2, max_batches=2, max_bytes=1_000)
    gate.put(10)
    began = gate.added
    gate.put(20)
    gate.looked(1, 10, before=began)
    assert (gate.batches, gate.bytes, gate.limit) == (2, 30, "batches")
    gate.looked(2, 30, before=gate.added)
    assert (gate.batches, gate.bytes) == (2, 30)


@pytest.mark.parametrize(("batches", "size", "full"), [(4, 99, False), (5, 0, True), (1, 100, True)])
def test_the_journal_is_full_by_count_or_by_bytes(*, batches: int, size: int, full: bool) -> None:
    gate = Gate(Pace(60), max_unacked=2, max_batches=5, max_bytes=100, batches=batches, bytes=size)
    assert gate.full is full
