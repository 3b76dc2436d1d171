"""Which windows and panes a moment belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort.errors import ConfigError
from hort.windows import GUARD_MS, Grid, grid

grids = st.builds(
    lambda slide, panes, more: Grid(
        size_ms=slide * panes + more * slide // 5, slide_ms=slide, lateness_ms=300_000
    ),
    st.integers(1, 60).map(lambda n: n * 5000),
    st.integers(1, 10),
    st.integers(0, 4),
)
moments = st.integers(1_600_000_000_000, 1_900_000_000_000)


@given(grids, moments)
def test_windows_and_panes_agree(grid: Grid, moment: int) -> None:
    ends = list(
        range(
            grid.first_end(moment) - 3 * grid.slide_ms,
            grid.last_end(moment) + 3 * grid.slide_ms,
            grid.slide_ms,
        )
    )
    assert [end for end in ends if end - grid.size_ms <= moment < end] == list(grid.ends_of(moment))
    pane = grid.pane_of(moment)
    assert pane <= moment < pane + grid.pane_ms
    assert all(pane in grid.panes_of(end) for end in grid.ends_of(moment))
    assert list(grid.ends_of(pane)) == list(grid.ends_of(moment))
    assert grid.due(moment) <= moment < grid.due(moment) + grid.slide_ms


@given(grids, moments, st.integers(-2_000_000, 2_000_000))
def test_late_is_what_has_only_windows_that_ended_before_the_allowed_lateness(
    grid: Grid, now: int, off: int
) -> None:
    moment = now + off
    assert (moment < grid.late_before(now)) == all(
        end + grid.lateness_ms < now for end in grid.ends_of(moment)
    )


@given(grids, moments, st.integers(0, 5_000_000))
def test_panes_stay_while_a_batch_may_change_a_window_they_belong_to(grid: Grid, now: int, off: int) -> None:
    moment = now - off
    oldest = grid.first_end(moment) - grid.size_ms
    if moment >= grid.lost_before(now):
        assert grid.pane_ttl(oldest, now) >= GUARD_MS
    if moment >= grid.late_before(now):
        assert oldest >= grid.removable_before(now + grid.retention_ms, closed=now)


def test_the_default() -> None:
    assert grid({}) == Grid(size_ms=45_000, slide_ms=15_000, lateness_ms=300_000, retention_ms=600_000)
    assert Grid().pane_ms == 15_000


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"window_s": 10, "slide_s": 20}, "slide_s"),
        ({"window_s": "long"}, "window_s"),
        ({"window_s": 45.001, "slide_s": 15}, "slide_s"),
        ({"slide_s": 0}, "slide_s"),
        ({"allowed_lateness_s": -1}, "allowed_lateness_s"),
    ],
)
def test_what_cannot_be_is_named(params: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        grid(params)
