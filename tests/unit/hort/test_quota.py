from hort.quota import MemoryCounts, Quota
from hort.testing import FakeClock


def test_a_share_is_used_up_and_comes_again() -> None:
    clock = FakeClock(60_000 * 1000 + 42_999)
    quota = Quota(MemoryCounts(), "dashboard", 2, clock)
    assert [quota.wait_s() for _ in range(4)] == [0, 0, 18, 18]
    clock.advance(17_001)
    assert [quota.wait_s() for _ in range(3)] == [0, 0, 60]


def test_each_kind_has_its_own() -> None:
    counts = MemoryCounts()
    assert [Quota(counts, kind, 1).wait_s() for kind in ("a", "b")] == [0, 0]


def test_a_share_of_nothing_is_used_up() -> None:
    assert Quota(MemoryCounts(), "a", 0).wait_s() > 0
