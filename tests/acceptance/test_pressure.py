"""Devices that publish three times what the feed may take, on a suite of its own with stock limits that others use up, too."""

import pytest

from workloads import pressure

MINUTES = 0.6


@pytest.mark.slow(330)
@pytest.mark.timeout(3000)
def test_a_burst_with_429_in_the_middle_arrives_once_and_every_part_stays_bounded() -> None:
    figures = pressure.run(minutes=MINUTES, times=3, kinds=("throttled",))
    assert figures["broken"] == []
