"""The supervisor over in-memory twins: what is slow never keeps leases from being renewed."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
import redis

from feeds.provider.meters import Meters
from feeds.provider.registrations import Registration
from feeds.provider.runner import Runner
from feeds.provider.supervisor import RETRY_MS, Supervisor
from feeds.provider.testing import MemoryLeases, MemoryRegistrations
from feeds.provider.whisk import Outcome, Target
from hort import feed_options
from hort.testing import FakeClock
from tests.support.polling import wait_until

WAIT_S = 20


class Intake:
    connected = True


class FakeRunner:
    """A runner whose stop takes as long as `gate` is closed."""

    def __init__(self, registration: Registration, token: int, gate: threading.Event) -> None:
        self.registration = registration
        self.token = token
        self.alive = True
        self.fenced = False
        self.intake = Intake()
        self.stopped: list[bool] = []
        self._gate = gate

    def start(self) -> None:
        """Nothing runs."""

    def stop(self, *, flush: bool = True) -> None:
        assert self._gate.wait(WAIT_S)
        self.stopped.append(flush)

    def can_take(self, new: Registration) -> bool:
        return new.client_id == self.registration.client_id

    def take(self, new: Registration) -> None:
        self.registration = new

    def facts(self) -> dict[str, Any]:
        return {}


class Works:
    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.made: list[FakeRunner] = []
        self.purged: list[str] = []
        self.forgotten: list[tuple[str, int]] = []
        self.ended: list[str] = []
        self.on_purge: Callable[[], object] = lambda: None

    def runner(self, registration: Registration, token: int, switch_off: Callable[[Registration, Outcome], None]) -> Runner:
        self.switch_off = switch_off
        if registration.config.tls_ca == "bad":
            raise ssl.SSLError("not to be told: hidden")
        self.made.append(FakeRunner(registration, token, self.gate))
        return cast("Runner", self.made[-1])

    def purge(self, registration: Registration, token: int) -> int:
        del token
        assert self.gate.wait(WAIT_S)
        self.on_purge()
        self.purged.append(registration.id)
        return 1

    def forget(self, registration: Registration, token: int) -> None:
        self.forgotten.append((registration.id, token))

    def end_session(self, registration: Registration) -> None:
        assert self.gate.wait(WAIT_S)
        self.ended.append(registration.client_id)


class Bench:
    def __init__(self, *names: str) -> None:
        self.clock, self.steady = FakeClock(), FakeClock()
        self.registrations = MemoryRegistrations()
        self.leases = MemoryLeases()
        self.works = Works()
        self.meters = Meters()
        self.supervisor = Supervisor(
            self.registrations, self.leases, self.works, clock=self.clock, steady=self.steady, meters=self.meters
        )
        config = feed_options.parse({"url": "mqtt://broker"})
        for name in names:
            target = Target("http://host", f"/guest/{name}", "a:b")
            self.registrations.rows[name] = Registration(name, target, f"client-{name}", config, self.clock.now)
        self.supervisor.tick()

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Inside, whatever takes time takes for ever."""
        self.works.gate.clear()
        try:
            yield
        finally:
            self.works.gate.set()

    def change(self, name: str, **facts: Any) -> None:
        row = self.registrations.rows[name]
        self.registrations.rows[name] = replace(row, generation=row.generation + 1, **facts)

    def ticked_until(self, check: Callable[[], object]) -> None:
        def look() -> object:
            self.supervisor.tick()
            return check()

        wait_until(look, timeout_s=WAIT_S, what="the supervisor did it")

    def assert_renewed(self, *names: str) -> None:
        self.leases.renewed.clear()
        self.supervisor.tick()
        assert set(self.leases.renewed) == set(names)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench("a", "b")
    yield bench
    bench.works.gate.set()
    bench.supervisor.stop()


def test_leases_are_renewed_while_a_deleted_feed_is_taken_down(bench: Bench) -> None:
    with bench.slow():
        bench.change("a", deleted_at=bench.clock.now)
        bench.clock.advance(100_000)
        bench.supervisor.tick()
        bench.assert_renewed("a", "b")
        assert set(bench.supervisor.runners) == {"b"}
        assert bench.works.purged == []
    bench.ticked_until(lambda: "a" not in bench.leases.rows)
    assert bench.works.purged == ["a"]
    assert bench.works.made[0].stopped == [False]


def test_leases_are_renewed_while_a_feed_moves_to_another_session(bench: Bench) -> None:
    with bench.slow():
        bench.change("a", client_id="another")
        bench.supervisor.tick()
        bench.assert_renewed("a", "b")
        assert len(bench.works.made) == 2, "the old connection is not gone yet"
    bench.ticked_until(lambda: len(bench.works.made) == 3)
    assert bench.works.ended == ["client-a"]
    assert bench.works.made[0].stopped == [True]
    assert (bench.works.made[2].registration.client_id, bench.works.made[2].token) == ("another", 2), "fences the one before"
    assert given_up(bench) == {"client-id": 1}


def given_up(bench: Bench) -> dict[str, float]:
    (metric,) = bench.meters.sessions_given_up.collect()
    return {sample.labels["reason"]: sample.value for sample in metric.samples if sample.name.endswith("_total")}


def test_another_way_to_the_same_broker_does_not_end_the_session(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRunner, "can_take", lambda _self, _new: False)
    bench.change("a", config=feed_options.parse({"url": "mqtts://broker:8884"}))
    bench.ticked_until(lambda: len(bench.works.made) == 3)
    assert (bench.works.ended, given_up(bench)) == ([], {})
    bench.change("a", config=feed_options.parse({"url": "mqtt://elsewhere"}))
    bench.ticked_until(lambda: len(bench.works.made) == 4)
    assert (bench.works.ended, given_up(bench)) == (["client-a"], {"host": 1})


def over(bench: Bench, name: str) -> None:
    bench.change(name, deleted_at=bench.clock.now)
    bench.clock.advance(100_000)
    bench.supervisor.tick()


def test_a_feed_created_anew_before_anything_is_dropped_goes_on(bench: Bench) -> None:
    with bench.slow():
        row = bench.registrations.rows["a"]
        over(bench, "a")
        bench.registrations.rows["a"] = row
        bench.assert_renewed("a", "b")
        assert len(bench.works.made) == 2
    bench.ticked_until(lambda: len(bench.works.made) == 3)
    assert bench.works.purged == []


def test_a_feed_created_anew_while_it_is_taken_down_is_served_afterwards(bench: Bench) -> None:
    row = bench.registrations.rows["a"]
    bench.works.on_purge = lambda: bench.registrations.rows.update(a=row)
    over(bench, "a")
    bench.ticked_until(lambda: len(bench.works.made) == 3)
    assert bench.works.purged == ["a"]
    assert bench.works.made[2].token >= 2, "fences the one before; a look of just before the end takes the lease once more in vain"


def test_a_feed_is_forgotten_only_when_it_is_taken_down(bench: Bench) -> None:
    """Whoever is killed between leaves the registration, and another provider begins again."""
    there: list[bool] = []

    def first() -> None:
        bench.works.on_purge = lambda: there.append("a" in bench.registrations.rows)
        raise redis.ConnectionError("away")

    bench.works.on_purge = first
    over(bench, "a")
    bench.ticked_until(lambda: "a" not in bench.leases.rows)
    bench.supervisor.tick()
    assert there == [], "not tried again at once"
    bench.steady.advance(RETRY_MS[0])
    bench.ticked_until(lambda: "a" not in bench.registrations.rows)
    assert (there, bench.works.purged) == ([True], ["a"])
    assert len(bench.works.made) == 2, "nobody served it once more"
    bench.ticked_until(lambda: "a" not in bench.leases.rows)


def test_a_feed_that_another_one_took_down_leaves_no_fence(bench: Bench) -> None:
    """This one looked just before the end, and takes the lease just after it."""
    gone = replace(bench.registrations.rows["a"], id="gone", deleted_at=bench.clock.now)
    bench.clock.advance(100_000)
    bench.supervisor._acquire({"gone": gone}, 9)
    bench.ticked_until(lambda: "gone" not in bench.leases.rows)
    assert (bench.works.purged, bench.works.forgotten) == ([], [("gone", 1)])


def test_a_feed_that_is_gone_is_let_go_with_its_fence(bench: Bench) -> None:
    """Another provider took it down while this one thought that its grace was not over; or Redis came back empty."""
    del bench.registrations.rows["a"]
    bench.ticked_until(lambda: "a" not in bench.leases.rows)
    assert (bench.works.made[0].stopped, bench.works.purged, bench.works.ended) == ([True], [], [])
    assert bench.works.forgotten == [("a", 1)]


def test_a_feed_that_was_taken_down_before_a_tick_is_not_taken_up_in_it(bench: Bench) -> None:
    look = bench.registrations.all

    def look_then_end() -> dict[str, Registration]:
        """The worker is done just after the supervisor has looked."""
        found = look()
        bench.works.gate.set()
        wait_until(lambda: "a" not in bench.registrations.rows, timeout_s=WAIT_S, what="the feed's end")
        wait_until(bench.supervisor._under_way["a"].done.done, timeout_s=WAIT_S, what="the worker's end")
        return found

    bench.works.gate.clear()
    over(bench, "a")
    bench.registrations.all = look_then_end  # type: ignore[method-assign]
    bench.supervisor.tick()
    bench.registrations.all = look  # type: ignore[method-assign]
    bench.ticked_until(lambda: "a" not in bench.leases.rows)
    assert (bench.leases.tokens["a"], bench.works.purged, bench.works.forgotten) == (1, ["a"], [])


def test_a_share_is_given_up_without_waiting(bench: Bench) -> None:
    other = bench.leases.other("other")
    with bench.slow():
        bench.leases.providers = 2
        bench.supervisor.tick()
        bench.assert_renewed("a", "b")
        assert other.acquire("a") is None, "not before the runner has ended"
    bench.ticked_until(lambda: "a" not in bench.leases.rows)
    assert other.acquire("a") == 2


def test_after_an_outage_longer_than_the_lease_the_same_runners_go_on(bench: Bench) -> None:
    bench.leases.away = True
    with pytest.raises(redis.ConnectionError):
        bench.supervisor.tick()
    bench.leases.away = False
    bench.leases.expire()
    bench.supervisor.tick()
    assert bench.leases.rows == {"a": "here", "b": "here"}
    assert [runner.stopped for runner in bench.works.made] == [[], []]


def test_a_lease_that_another_one_had_meanwhile_is_lost(bench: Bench) -> None:
    bench.leases.expire()
    other = bench.leases.other("other")
    assert other.acquire("a") == 2
    other.release("a")
    bench.ticked_until(lambda: len(bench.works.made) == 3)
    assert bench.works.made[0].stopped == [False]
    assert bench.works.made[1].stopped == []
    assert bench.works.made[2].token == 3


def test_work_that_fails_is_told_and_the_feed_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.works, "end_session", lambda _registration: 1 / 0)
    bench.change("a", client_id="another")
    bench.ticked_until(lambda: len(bench.works.made) == 3)


def test_stopping_stops_what_is_under_way_too() -> None:
    bench = Bench("a")
    bench.change("a", client_id="another")
    bench.supervisor.tick()
    bench.supervisor.stop()
    assert bench.works.made[0].stopped
    assert bench.leases.rows == {}


def test_a_deleted_feed_keeps_its_grace_when_the_clock_jumps(bench: Bench) -> None:
    bench.change("a", deleted_at=bench.clock.now)
    bench.supervisor.tick()
    bench.clock.advance(86_400_000)
    bench.steady.advance(59_000)
    bench.supervisor.tick()
    assert "a" in bench.registrations.rows
    bench.clock.advance(-2 * 86_400_000)
    bench.steady.advance(1_000)
    bench.ticked_until(lambda: bench.works.purged == ["a"])


def test_health_goes_by_the_time_that_passed(bench: Bench) -> None:
    bench.clock.advance(86_400_000)
    bench.supervisor.tick()
    assert bench.supervisor.last_tick_ms == bench.steady.now


def test_what_is_switched_off_is_counted_once_and_only_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("a")
    registration, refused = bench.registrations.rows["a"], Outcome("refused", 401)

    def counted() -> bool:
        return b"hort_provider_disables_total{" in bench.meters.text()

    def away(_name: str, _edit: object) -> None:
        raise redis.ConnectionError("away")

    with monkeypatch.context() as patch:
        patch.setattr(bench.registrations, "change", away)
        with pytest.raises(redis.ConnectionError):
            bench.works.switch_off(registration, refused)
    bench.change("a")
    bench.works.switch_off(registration, refused)
    assert (counted(), bench.registrations.rows["a"].active) == (False, True), "it was changed meanwhile"
    bench.works.switch_off(bench.registrations.rows["a"], refused)
    assert (counted(), bench.registrations.rows["a"].active) == (True, False)


def test_a_feed_that_cannot_begin_keeps_no_other_from_its_work(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    good = bench.registrations.rows["b"].config
    bench.change("a", client_id="another", config=replace(good, tls_ca="bad"))
    bench.registrations.rows["c"] = replace(bench.registrations.rows["b"], id="c")
    bench.ticked_until(lambda: bench.registrations.runtime("a").get("problem") == "cannot begin: SSLError")
    assert set(bench.supervisor.runners) == {"b", "c"}
    assert set(bench.leases.rows) == {"b", "c"}, "another provider may have more luck"
    assert "hidden" not in capsys.readouterr().err
    before = bench.leases.tokens["a"]
    for _ in range(120):
        bench.steady.advance(1_000)
        bench.supervisor.tick()
    assert 3 <= bench.leases.tokens["a"] - before <= 10, "with growing pauses"
    bench.change("a", config=good)
    bench.supervisor.tick()
    assert set(bench.supervisor.runners) == {"a", "b", "c"}, "a change is tried at once"


def test_a_runner_that_cannot_start_is_stopped_and_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(runner: FakeRunner) -> None:
        if len(bench.works.made) == 3:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(FakeRunner, "start", start)
    bench.registrations.rows["c"] = replace(bench.registrations.rows["b"], id="c")
    bench.supervisor.tick()
    bench.ticked_until(lambda: "c" not in bench.leases.rows)
    assert bench.works.made[2].stopped == [False]
    bench.steady.advance(RETRY_MS[0])
    bench.ticked_until(lambda: "c" in bench.supervisor.runners)
