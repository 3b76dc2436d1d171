"""Plans are drawn from their seed: the same again, every kind in turn, in time."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign import plan
from campaign.faults import KINDS

DURATIONS = {kind.name: kind.seconds for kind in KINDS.values()}


@given(st.integers(0, 2**40), st.floats(1, 3_600))
def test_a_seed_gives_one_plan(seed: int, seconds: float) -> None:
    planned = plan.make(DURATIONS, seed=seed, seconds=seconds)
    assert planned == plan.make(DURATIONS, seed=seed, seconds=seconds)
    assert [fault.at_s for fault in planned] == sorted(fault.at_s for fault in planned)
    assert all(0 < fault.at_s <= seconds + 0.1 for fault in planned)
    for fault in planned:
        shortest, longest = DURATIONS[fault.kind]
        assert shortest - 0.1 <= fault.for_s <= longest + 0.1


def test_kinds_take_turns() -> None:
    counts = Counter(fault.kind for fault in plan.make(DURATIONS, seed=1, seconds=1_800))
    assert counts.keys() == KINDS.keys()
    assert max(counts.values()) - min(counts.values()) <= 1


def test_only_the_kinds_asked_for() -> None:
    planned = plan.make(DURATIONS, seed=1, seconds=300, only=("kill-redis", "reset"))
    assert {fault.kind for fault in planned} == {"kill-redis", "reset"}


def test_a_kind_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="unknown fault 'flood'; there are clock-jump"):
        plan.make(DURATIONS, seed=1, seconds=300, only=("flood",))
