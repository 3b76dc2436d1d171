"""The arithmetic of the churn benchmark."""

from __future__ import annotations

from workloads.churn import families, steady


def test_keys_are_counted_by_family() -> None:
    names = [
        "hort:{0}:pane:1700000010000:15000",
        "hort:{0}:pane:1700000010000:15000:aa",
        "hort:{0}:win:silent:bike",
        "hort:{0}:win:silent:car:2",
        'hort:{0}:last:["d","a:b","c","e"]',
        "hort:{stats}:counters",
    ]
    assert families(iter(names)) == {"counters": 1, "last": 1, "pane": 1, "pane parts": 1, "win silent": 2}


def test_growth_is_that_of_the_time_after_every_retention() -> None:
    samples = [{"at_s": at, "used_memory": 100 if at < 50 else 200 + (at - 50)} for at in range(150)]
    found = steady(samples, after_s=50)
    assert (found["first_fifth"], found["last_fifth"]) == (209.5, 289.5)
    assert 0.38 < found["growth"] < 0.39
    assert steady(samples[:52], after_s=50) == {}
