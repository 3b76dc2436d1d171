"""The alarm part of a provider over in-memory twins: it survives whatever happens, and says so."""

from collections.abc import Callable, Iterator

import pytest

from feeds.provider.alarms import Alarms
from feeds.provider.meters import Meters
from feeds.provider.testing import MemoryLeases
from feeds.provider.whisk import Target
from localwhisk.alarms.schedule import Registration
from tests.support.polling import wait_until


class Store:
    """A store of no alarms that fails as told."""

    def __init__(self) -> None:
        self.fail: Exception | None = None
        self.rows: dict[str, bytes] = {}
        self.alarms: list[tuple[str, Registration]] = []
        self.asked: list[str] = []
        self.listed = 0

    async def get(self, key: str) -> Registration | None:
        self.asked.append(key)
        raise KeyError(key)

    async def put(self, key: str, registration: Registration) -> None:
        """Nothing is kept."""

    async def delete(self, key: str) -> bool:
        return bool(key)

    async def list(self) -> list[tuple[str, Registration]]:
        self.listed += 1
        return self.alarms

    async def raw(self) -> dict[str, bytes]:
        if self.fail is not None:
            raise self.fail
        return dict(self.rows)


class Whisk:
    def trigger_status(self, target: Target) -> int:
        return len(target.trigger)

    def fire_status(self, target: Target, payload: dict[str, object]) -> int:
        return len(payload)

    def delete_trigger(self, target: Target, *, rules: bool) -> None:
        """Nothing is deleted."""


class Bench:
    def __init__(self) -> None:
        self.store, self.leases, self.meters = Store(), MemoryLeases(), Meters()
        self.alarms = Alarms(
            self.store,  # type: ignore[arg-type] # a twin of AlarmStore, which is no port
            self.leases,
            Whisk(),
            api_host="http://host",
            clock=lambda: 0,
            meters=self.meters,
        )

    def failures(self) -> bool:
        return b'part="alarms",registration="alarms"' in self.meters.text()

    def until(self, check: Callable[[], object], what: str) -> None:
        wait_until(check, what=what)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("feeds.provider.alarms.TICK_S", 0.01)
    bench = Bench()
    yield bench
    if bench.alarms._thread.is_alive():
        bench.alarms.stop()


def test_alarms_survive_what_nobody_foresaw_and_say_so(bench: Bench) -> None:
    bench.store.fail = ZeroDivisionError("nobody foresaw it")
    bench.alarms.start()
    bench.until(lambda: bench.alarms.problem == "ZeroDivisionError: nobody foresaw it", "told")
    bench.until(bench.failures, "counted")
    bench.store.fail = None
    bench.until(lambda: bench.alarms.problem == "" and bench.store.listed, "went on")


def test_a_provider_that_cannot_keep_time_lets_another_one(bench: Bench) -> None:
    bench.store.fail = ValueError("here only")
    bench.alarms.start()
    other = bench.leases.other("other")
    bench.until(lambda: other.acquire("alarms") is not None, "the other one keeps time")


def test_an_alarm_that_fails_is_tried_again_and_ends_nothing(bench: Bench) -> None:
    bench.alarms.start()
    bench.until(lambda: bench.store.listed, "serving")
    bench.store.rows = {"a": b"changed"}
    bench.until(lambda: "KeyError" in bench.alarms.problem, "told")
    bench.store.rows = {}
    bench.until(lambda: bench.alarms.problem == "", "well again")


def test_time_is_kept_again_after_the_store_failed_at_a_fire(bench: Bench) -> None:
    alarm = {"namespace": "guest", "name": "a", "cron": "* * * * * *", "status": {"active": True}}
    bench.store.alarms = [("guest/a", alarm)]
    bench.alarms.start()
    bench.until(lambda: len(bench.store.asked) >= 2, "fired at least once more after the failure")
    assert bench.failures()
    assert bench.store.listed >= 2


def test_a_thread_that_does_not_run_is_a_problem(bench: Bench) -> None:
    assert bench.alarms.problem == "its thread does not run"
    bench.alarms.start()
    bench.until(lambda: bench.alarms.problem == "" and bench.leases.rows, "runs")
    bench.alarms.stop()
    assert bench.alarms.problem == "its thread does not run"
    assert bench.leases.rows == {}
