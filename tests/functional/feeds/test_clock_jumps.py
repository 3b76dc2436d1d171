"""A machine whose clock is set, forward or back: a feed over its twins goes on as if nothing had happened."""

from itertools import pairwise
from typing import Any

import pytest

from feeds.provider.firing import AGAIN_MS, DEADLINE_LIMIT_MS, MINUTE_JITTER_MS, PUT_OFF_MS, Firing
from feeds.provider.intake import Intake
from feeds.provider.link import Stream
from feeds.provider.meters import Meters
from feeds.provider.pace import MINUTE_MS, Gate, Pace
from feeds.provider.testing import MemoryLedger, MemorySubscriptions, MemoryWhisk
from feeds.provider.testing_broker import MemoryBroker
from feeds.provider.whisk import Outcome, Target
from hort import batch, feed_options, keys
from hort.batch import Reference
from hort.journal import FAR_MS
from hort.testing import FakeClock, MemoryJournal

REGISTRATION = "0123456789abcdef"
JOURNAL = keys.journal(0, REGISTRATION)
SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
STEP_MS = 10
ACCEPTED = Outcome("accepted", 202, activation="a" * 32)
JUMPS = pytest.mark.parametrize(
    ("jump", "back_after"),
    [(90_000, 2 * SECOND), (DAY, 2 * SECOND), (-90_000, 2 * SECOND), (HOUR, None), (-HOUR, None)],
)


class Bench:
    """A registration's two sides, stepped in turn; `finish_ms` after its fire a batch is stored, None: never."""

    def __init__(self, **options: Any) -> None:
        self.steady, self.wall_ahead = FakeClock(1_700_000_040_000), 0
        self.journal, self.broker, self.meters = MemoryJournal(), MemoryBroker(), Meters()
        self.ledger, self.subscriptions = MemoryLedger(self.journal), MemorySubscriptions()
        self.options = {"url": "mqtt://broker", "topics": "t/#", "linger_ms": 100, "max_fires_per_minute": 600, **options}
        self.finish_ms: int | None = 50
        self.whisk = MemoryWhisk(clock=self.steady)
        self.running: dict[str, int] = {}
        self.begin()

    def begin(self) -> None:
        """A provider takes over what is there."""
        self.broker.drop()
        self.ledger.token += 1
        config = feed_options.parse(self.options)
        self.gate = Gate(Pace(config.max_fires_per_minute), config.max_unacked, 10_000, 10**9)
        self.gate.unacked = config.max_unacked
        clocks: dict[str, Any] = {"clock": self.wall, "steady": self.steady, "meters": self.meters, "gate": self.gate}
        self.intake = Intake(
            Stream(REGISTRATION, "/guest/t", "client"),
            config,
            ledgers=[self.ledger],
            subscriptions=self.subscriptions,
            connect=self.broker.connect,
            pause=lambda _seconds: None,
            **clocks,
        )
        self.firing = Firing(
            Target("http://host", "/guest/t", "a:b"),
            config,
            journal=self.journal,
            journals=[JOURNAL],
            whisk=self.whisk,
            switch_off=lambda _target, _outcome: None,
            **clocks,
        )
        self.intake.open()
        self.wait_until = 0

    def wall(self) -> int:
        return self.steady.now + self.wall_ahead

    def run(self, milliseconds: int, *, every_ms: int = 0) -> None:
        """Both threads' steps while time passes; a message each so many milliseconds."""
        for passed in range(0, milliseconds, STEP_MS):
            if every_ms and passed % every_ms == 0:
                self.broker.publish(b"%d" % self.steady.now)
            self.intake.step()
            fires = len(self.whisk.fires)
            if self.steady.now >= self.wait_until:
                self.wait_until = self.steady.now + min(self.firing.step(), 20)
            self._act(self.whisk.fires[fires:])
            self.steady.advance(STEP_MS)

    def _act(self, fires: list[dict[str, Any]]) -> None:
        if self.finish_ms is not None:
            self.running |= {fire["batch_id"]: self.steady.now + self.finish_ms for fire in fires}
        for name in [name for name, at in self.running.items() if at <= self.steady.now]:
            del self.running[name]
            self.journal.ack(Reference(name, JOURNAL))

    def ids(self) -> list[str]:
        return [str(fire["batch_id"]) for fire in self.whisk.fires]

    def gaps(self, since: int) -> list[int]:
        """Milliseconds between fires from a moment on, and until now."""
        at = [since, *(moment for moment in self.whisk.at if moment >= since), self.steady.now]
        return [later - earlier for earlier, later in pairwise(at)]

    def jump(self, milliseconds: int, back_after: int | None, *, every_ms: int = 0) -> None:
        self.wall_ahead = milliseconds
        if back_after is not None:
            self.run(back_after, every_ms=every_ms)
            self.wall_ahead = 0


@JUMPS
def test_messages_flow_on_and_nothing_is_fired_twice(jump: int, back_after: int | None) -> None:
    bench = Bench()
    bench.run(3 * SECOND, every_ms=50)
    jumped = bench.steady.now
    bench.jump(jump, back_after, every_ms=50)
    bench.run(10 * SECOND, every_ms=50)
    assert max(bench.gaps(jumped)) <= SECOND
    assert len(set(bench.ids())) == len(bench.ids())
    bench.run(2 * SECOND)
    assert bench.journal.size(JOURNAL) == 0
    assert bench.broker.inflight == {}


@JUMPS
def test_a_batch_lingers_as_long_as_ever(jump: int, back_after: int | None) -> None:
    bench = Bench(linger_ms=5_000)
    bench.run(SECOND)
    bench.broker.publish(b"a")
    bench.run(SECOND)
    began = bench.steady.now - SECOND
    bench.jump(jump, back_after)
    bench.run(10 * SECOND)
    (at,) = bench.whisk.at
    assert 5 * SECOND <= at - began <= 5 * SECOND + 200


@JUMPS
def test_an_unfinished_batch_is_fired_again_after_its_deadline(jump: int, back_after: int | None) -> None:
    bench = Bench(ack_deadline_s=10)
    bench.finish_ms = None
    bench.run(SECOND, every_ms=SECOND)
    bench.jump(jump, back_after)
    bench.run(35 * SECOND)
    assert [round(gap, -3) for gap in bench.gaps(bench.whisk.at[0])[1:-1]] == [10_000, 20_000]


@JUMPS
def test_the_broker_is_dialled_again_soon(jump: int, back_after: int | None) -> None:
    bench = Bench()
    bench.run(SECOND)
    bench.broker.up = False
    bench.broker.drop()
    bench.run(SECOND)
    bench.broker.up = True
    bench.jump(jump, back_after)
    bench.run(3 * SECOND)
    assert bench.intake.connected


@JUMPS
def test_a_throttle_waits_for_the_next_minute_and_no_longer(jump: int, back_after: int | None) -> None:
    bench = Bench()
    bench.finish_ms = None
    bench.run(10 * SECOND)
    bench.wall_ahead, bench.whisk.answers = jump, [Outcome("busy", 429), ACCEPTED]
    bench.run(SECOND, every_ms=SECOND)
    bench.jump(jump, back_after)
    bench.run(MINUTE_MS + 2 * SECOND)
    (gap, *_) = bench.gaps(bench.whisk.at[0])[1:]
    assert 20 * SECOND - 200 <= gap <= MINUTE_MS + MINUTE_JITTER_MS + 20


@pytest.mark.parametrize("skew", [90_000, HOUR, DAY])
def test_what_a_provider_whose_clock_was_ahead_left_is_fired_soon_by_the_next(skew: int) -> None:
    bench = Bench(ack_deadline_s=10, max_unacked=2)
    bench.finish_ms = None
    bench.steady.advance(skew)
    for _ in range(5):
        bench.run(SECOND, every_ms=SECOND)
    assert len(bench.whisk.fires) == 2, "the others wait"
    bench.steady.advance(-skew)
    bench.finish_ms = 50
    bench.begin()
    bench.run(15 * SECOND)
    assert bench.journal.size(JOURNAL) == 0


@pytest.mark.parametrize("skew", [-DAY, -90_000, HOUR, DAY])
def test_an_action_whose_clock_is_wrong_neither_stalls_a_batch_nor_has_it_fired_over_and_over(skew: int) -> None:
    bench = Bench(ack_deadline_s=30)
    bench.finish_ms = None
    bench.run(SECOND, every_ms=SECOND)
    for _ in range(6_000):
        for name in set(bench.ids()):
            bench.journal.retry_at(Reference(name, JOURNAL), bench.steady.now + skew + 100)
        bench.run(STEP_MS)
    gaps = bench.gaps(bench.whisk.at[0])[1:-1]
    assert min(gaps) >= AGAIN_MS[0] - STEP_MS
    assert max(gaps) <= AGAIN_MS[1]
    assert len(gaps) >= 3


def test_a_replay_put_by_a_clock_that_is_far_ahead_is_fired() -> None:
    bench = Bench()
    bench.run(SECOND)
    ahead = bench.steady.now + HOUR
    bench.journal.put(Reference(batch.new_id(REGISTRATION, 0, ahead), JOURNAL), b"", trigger="/guest/t", count=0, now=ahead)
    bench.run(SECOND)
    assert len(bench.whisk.fires) == 1


def test_how_old_the_oldest_batch_is_is_never_negative() -> None:
    bench = Bench()
    bench.finish_ms = None
    bench.run(SECOND, every_ms=SECOND)
    bench.wall_ahead = -HOUR
    bench.run(SECOND)
    assert b'lag_seconds{registration="/guest/t"} 0.0' in bench.meters.text()


def test_no_time_that_is_meant_is_far() -> None:
    assert DEADLINE_LIMIT_MS + PUT_OFF_MS < FAR_MS
