"""The back-pressure bench's own judgement: what it calls broken, and how it draws."""

from types import SimpleNamespace
from typing import Any

import pytest

from workloads import pressure
from workloads.curves import curve
from workloads.pressure import MAX_BATCHES, MAX_RECORDS, MAX_UNACKED, Samples, checks, expected

SENT = 1_000


def figures(**changed: Any) -> dict[str, Any]:
    largest = {
        "journal, batches": MAX_BATCHES,
        "holding back": 1.0,
        "in the broker, records": 3 * MAX_BATCHES * MAX_RECORDS,
        "lag, s": 60.0,
        "batches staged": MAX_UNACKED,
        **{f"{part}, MB": limit for part, limit in pressure.LIMITS_MB.items()},
    }
    good: dict[str, Any] = {
        "drain_s": 1.0,
        "stored": expected(SENT),
        "dead_letters": 0,
        "held_back_s": 5.0,
        "fires_429": 1.0,
        "refires_total": 1.0,
        "provider_mb": {"before": 60.0, "after": 62.0},
        "largest": largest,
    }
    for name, value in changed.items():
        place, _, inner = name.partition("__")
        if inner:
            good[place] = {**good[place], inner.replace("_", " "): value}
        else:
            good[place] = value
    return good


def broken(kind: str = "burst", *, complete: bool = True, **changed: Any) -> list[str]:
    burst: Any = SimpleNamespace(publisher=SimpleNamespace(sent=SENT), complete=complete)
    return [what for what, held in checks(kind, figures(**changed), burst).items() if not held]


def test_what_went_well_is_not_broken() -> None:
    assert broken("throttled") == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"complete": False}, "the broker acknowledged every record"),
        ({"drain_s": None}, "everything arrived in time"),
        ({"stored": {**expected(SENT), "count": SENT + 1}}, "each record is stored exactly once"),
        ({"stored": {**expected(SENT), "sum_of_squares": 1.0}}, "each record is stored exactly once"),
        ({"dead_letters": 1}, "no dead letters"),
        ({"largest__journal,_batches": MAX_BATCHES + 1}, "the journal never held more than it may"),
        ({"held_back_s": 0}, "the provider held back, and said so"),
        ({"largest__in_the_broker,_records": 10}, "the broker kept what the provider did not take"),
        ({"largest__lag,_s": 1.0}, "the lag was visible"),
        ({"largest__batches_staged": MAX_UNACKED + 1}, "staged batches stayed within max_unacked"),
        ({"provider_mb": {"before": 60.0, "after": 100.0}}, "the provider's memory is as before"),
        ({"largest__engine,_MB": 151.0}, "engine below 150 MB"),
    ],
)
def test_each_figure_can_break_what_it_stands_for(changed: dict[str, Any], what: str) -> None:
    assert broken(**changed) == [what]


def test_a_throttled_burst_without_429_has_tested_nothing() -> None:
    assert broken("throttled", fires_429=0, refires_total=0) == ["the provider got 429", "rules got 429: batches were fired again"]


def test_an_outage_that_nobody_noticed_has_tested_nothing() -> None:
    assert broken("outage", refires_total=0) == ["batches were fired again"]


def test_sums_tell_a_doubled_record_from_a_lost_one() -> None:
    numbers = range(SENT)
    assert expected(SENT) == {"count": SENT, "sum": sum(numbers), "sum_of_squares": sum(number * number for number in numbers)}


def test_samples_keep_the_last_value_of_what_could_not_be_read() -> None:
    samples = Samples()
    samples.add(0, {"a": 1.0})
    samples.add(1, {"b": 2.0})
    assert samples.rows == {"a": [1.0, 1.0], "b": [0.0, 2.0]}
    assert (samples.largest("b"), samples.largest("c")) == (2.0, 0.0)


def test_a_curve_shows_each_peak_however_narrow() -> None:
    assert curve([]) == ""
    assert curve([0, 1, 8]) == " ▂█"
    assert "█" in curve([1.0] * 500 + [100.0] + [1.0] * 500, width=10)
    assert len(curve([1.0] * 1000, width=10)) == 10
