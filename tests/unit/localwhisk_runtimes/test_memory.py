import os

import pytest

from localwhisk.runtimes import memory

pytestmark = pytest.mark.skipif(not memory.MEASURABLE, reason="this system has no /proc")


def test_this_process_is_measured() -> None:
    assert memory.resident(os.getpid()) > 1 << 20
    assert 0 < memory.proportional(os.getpid()) <= memory.resident(os.getpid()) * 2


def test_a_limit_is_exceeded_or_not() -> None:
    assert memory.exceeds(os.getpid(), 1 << 10)
    assert not memory.exceeds(os.getpid(), 1 << 40)


def test_a_process_that_is_gone_has_nothing() -> None:
    assert memory.resident(2**22 + 1) == 0
    assert not memory.exceeds(2**22 + 1, 0)
