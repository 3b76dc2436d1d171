"""The kinds of fault as a whole: what the issue asks for is there, and two that would disturb each other exclude each other."""

from campaign.faults import KINDS
from feeds.provider.leases import LEASE_MS

PARTS = ("broker", "redis", "elasticsearch", "provider", "engine")
OTHERS = {
    "kill-action", "pause-action", "reset", "slow", "refuse", "hang", "elasticsearch-429", "elasticsearch-503", "elasticsearch-items",
    "elasticsearch-lost-answers", "redis-full", "redis-read-only", "disk-full", "deliver-twice", "deliver-late", "kill-after-effect",
    "cut-after-effect", "hand-over", "redeploy", "clock-jump",
}  # fmt: skip


def test_every_kind_is_there() -> None:
    assert set(KINDS) == OTHERS | {f"{what}-{part}" for what in ("kill", "pause", "restart") for part in PARTS}


def test_faults_of_one_part_exclude_each_other() -> None:
    for part in PARTS:
        assert all(part in KINDS[f"{what}-{part}"].concerns for what in ("kill", "pause", "restart"))
    assert "provider" in KINDS["hand-over"].concerns
    assert all("redis" in KINDS[kind].concerns for kind in ("redis-full", "redis-read-only"))


def test_a_hand_over_outlasts_the_lease() -> None:
    assert KINDS["hand-over"].seconds[0] * 1000 > LEASE_MS
