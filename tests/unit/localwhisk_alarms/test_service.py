"""The scheduler on a clock that is moved by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from localwhisk.alarms import texts
from localwhisk.alarms.feed import Feed
from localwhisk.alarms.schedule import Registration
from localwhisk.alarms.service import AlarmService
from localwhisk.alarms.store import MemoryStore

NOW = 1_767_225_600_000
SECOND = 1000
MINUTE = 60_000


class HandClock:
    """Time moves only by `advance`; sleeps before retries pass at once and are noted."""

    def __init__(self) -> None:
        self.ms = NOW
        self.slept: list[float] = []
        self._moved = asyncio.Event()

    def now_ms(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def wait(self, woken: asyncio.Event, seconds: float) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (woken, self._moved)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._moved.clear()

    async def advance(self, ms: int) -> None:
        self.ms += ms
        self._moved.set()
        await settle()


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


class World:
    """A service with its feed, and the triggers' answers."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = HandClock()
        self.fired: list[tuple[int, str]] = []
        self.answers: list[int | Exception] = []
        self.deleted: list[tuple[str, bool]] = []
        self.told: list[tuple[str, str, int]] = []
        self.service = AlarmService(self.store, self.fire, delete_trigger=self.delete, clock=self.clock, watcher=self)
        self.feed = Feed(self.store, changed=self.service.refresh, now_ms=self.clock.now_ms)

    async def fire(self, registration: Registration) -> int:
        self.fired.append(((self.clock.ms - NOW), registration["name"]))
        answer = self.answers.pop(0) if self.answers else 202
        if isinstance(answer, Exception):
            raise answer
        return answer

    def missed(self, key: str, reason: str, count: int) -> None:
        self.told.append((key, reason, count))

    def disabled(self, key: str, status_code: int | None) -> None:
        self.told.append((key, "disabled", status_code or 0))

    async def delete(self, registration: Registration, *, rules: bool) -> None:
        self.deleted.append((registration["name"], rules))

    async def call(
        self, event: str, kind: str = "alarm", trigger: str = "t", **params: Any
    ) -> dict[str, Any]:
        given = {"lifecycleEvent": event, "triggerName": trigger, **params}
        answer = await self.feed.handle(kind, given, namespace="guest")
        await settle()
        return answer

    async def status(self, trigger: str = "t") -> dict[str, Any]:
        status: dict[str, Any] = (await self.call("READ", trigger=trigger))["status"]
        return status


Scenario = Callable[[World], Awaitable[None]]


def play(scenario: Scenario) -> None:
    async def whole() -> None:
        world = World()
        await world.service.start()
        try:
            await asyncio.wait_for(scenario(world), 20)
        finally:
            await world.service.close()

    asyncio.run(whole())


def test_a_half_minute_alarm_fires_on_the_wall_clock() -> None:
    async def scenario(world: World) -> None:
        world.clock.ms += 12_345
        await world.call("CREATE", cron="*/30 * * * * *")
        for _ in range(60):
            await world.clock.advance(SECOND)
        assert [at // SECOND for at, _ in world.fired] == [30, 60]

    play(scenario)


def test_after_a_pause_there_is_one_fire_and_no_burst() -> None:
    async def scenario(world: World) -> None:
        await world.call("CREATE", cron="*/10 * * * * *")
        await world.clock.advance(3_600_000 + 3_000)
        assert len(world.fired) == 1
        assert world.told == [("guest/t", "late", 359)]
        await world.clock.advance(7_000)
        assert len(world.fired) == 2
        assert world.fired[1][0] == 3_610_000

    play(scenario)


def test_what_was_missed_while_down_is_not_made_up_for() -> None:
    async def scenario(world: World) -> None:
        await world.call("CREATE", cron="* * * * *")
        await world.call("CREATE", "once", "late", date=NOW + MINUTE)
        await world.service.close()
        world.clock.ms += 10 * MINUTE + 1
        again = AlarmService(world.store, world.fire, clock=world.clock)
        await again.start()
        await settle()
        assert world.fired == []
        assert (await world.status("late"))["reason"]["message"] == texts.ONCE_EXPIRED
        await world.clock.advance(MINUTE - 1)
        assert [name for _, name in world.fired] == ["t"]
        await again.close()

    play(scenario)


def test_changes_take_effect_at_once() -> None:
    async def scenario(world: World) -> None:
        await world.call("CREATE", cron="* * * * *")
        await world.call("CREATE", cron="*/5 * * * *")
        await world.clock.advance(MINUTE)
        assert world.fired == []
        await world.call("PAUSE")
        await world.clock.advance(10 * MINUTE)
        assert world.fired == []
        await world.call("UNPAUSE")
        await world.clock.advance(5 * MINUTE)
        assert len(world.fired) == 1
        await world.call("DELETE")
        await world.clock.advance(60 * MINUTE)
        assert len(world.fired) == 1
        assert world.service.scheduled == 0

    play(scenario)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_an_answer_that_will_not_get_better_disables(status: int) -> None:
    async def scenario(world: World) -> None:
        world.answers = [status]
        await world.call("CREATE", cron="* * * * *")
        await world.clock.advance(MINUTE)
        await world.clock.advance(MINUTE)
        assert len(world.fired) == 1
        reason = (await world.status())["reason"]
        assert reason == {
            "kind": "AUTO",
            "statusCode": status,
            "message": f"Trigger automatically disabled: Received a {status} status code when firing the trigger",
        }

    play(scenario)


@pytest.mark.parametrize("answer", [408, 409, 429, 500, 503, 0, ConnectionError("down")])
def test_an_answer_that_may_get_better_is_tried_again(answer: int | Exception) -> None:
    async def scenario(world: World) -> None:
        world.answers = [answer, answer, 202]
        await world.call("CREATE", cron="* * * * *")
        await world.clock.advance(MINUTE)
        assert len(world.fired) == 3
        assert (await world.status())["active"]
        assert world.clock.slept == ([1.0, 4.0] if answer == 429 else [1.0, 1.0])

    play(scenario)


def test_retries_are_bounded_and_the_next_tick_comes() -> None:
    async def scenario(world: World) -> None:
        world.answers = [500] * 11
        await world.call("CREATE", cron="* * * * *")
        await world.clock.advance(MINUTE)
        assert len(world.fired) == 11
        await world.clock.advance(MINUTE)
        assert len(world.fired) == 12
        assert (await world.status())["active"]

    play(scenario)


def test_throttled_all_along_disables() -> None:
    async def scenario(world: World) -> None:
        world.answers = [429] * 11
        await world.call("CREATE", cron="* * * * *")
        await world.clock.advance(MINUTE)
        assert world.clock.slept == [float(n * n) for n in range(1, 11)]
        reason = (await world.status())["reason"]
        assert (reason["statusCode"], reason["message"]) == (429, texts.THROTTLED)

    play(scenario)


def test_an_alarm_has_one_fire_under_way() -> None:
    async def scenario(world: World) -> None:
        answered = asyncio.Event()

        async def slow(registration: Registration) -> int:
            world.fired.append((world.clock.ms - NOW, registration["name"]))
            await answered.wait()
            return 202

        world.service._fire = slow
        await world.call("CREATE", cron="* * * * *")
        for _ in range(3):
            await world.clock.advance(MINUTE)
        assert len(world.fired) == 1
        assert world.told == [("guest/t", "busy", 1)] * 2
        answered.set()
        await settle()
        await world.clock.advance(MINUTE)
        assert len(world.fired) == 2

    play(scenario)


def test_once_fires_once_and_is_disabled() -> None:
    async def scenario(world: World) -> None:
        await world.call("CREATE", "once", date=NOW + MINUTE)
        await world.clock.advance(MINUTE)
        await world.clock.advance(MINUTE)
        assert len(world.fired) == 1
        status = await world.status()
        assert status["reason"] == {"kind": "AUTO", "message": "Automatically disabled after firing once"}

    play(scenario)


@pytest.mark.parametrize(("chosen", "rules"), [("true", False), ("rules", True)])
def test_once_may_delete_its_trigger(chosen: str, rules: bool) -> None:
    async def scenario(world: World) -> None:
        await world.call("CREATE", "once", date=NOW + MINUTE, deleteAfterFire=chosen)
        await world.clock.advance(MINUTE)
        assert world.deleted == [("t", rules)]
        assert await world.store.list() == []

    play(scenario)


@pytest.mark.parametrize(
    ("kind", "params", "fires", "message"),
    [
        ("alarm", {"cron": "* * * * *", "stopDate": NOW + 2 * MINUTE + 1}, 2, texts.LAST_CRON),
        ("interval", {"minutes": 1, "stopDate": NOW + 2 * MINUTE}, 2, texts.LAST_INTERVAL),
        ("alarm", {"cron": "* * * * *", "maxTriggers": 3}, 3, texts.MAX_REACHED),
    ],
)
def test_an_end_that_was_set(kind: str, params: dict[str, Any], fires: int, message: str) -> None:
    async def scenario(world: World) -> None:
        await world.call("CREATE", kind, **params)
        for _ in range(20):
            await world.clock.advance(MINUTE // 2)
        assert len(world.fired) == fires
        assert (await world.status())["reason"]["message"] == message

    play(scenario)


def test_a_late_failure_does_not_disable_what_replaced_the_alarm() -> None:
    async def scenario(world: World) -> None:
        answered = asyncio.Event()

        async def slow(registration: Registration) -> int:
            await answered.wait()
            return 404

        world.service._fire = slow
        await world.call("CREATE", cron="* * * * *")
        await world.clock.advance(MINUTE)
        world.clock.ms += 1
        await world.call("CREATE", cron="*/2 * * * *")
        answered.set()
        await settle()
        assert (await world.status())["active"]
        assert world.service.scheduled == 1

    play(scenario)


def test_thousands_of_alarms_are_one_heap_and_stay_bounded() -> None:
    async def scenario(world: World) -> None:
        for number in range(2000):
            given = {"lifecycleEvent": "CREATE", "triggerName": f"t{number}", "minutes": 1 + number % 50}
            await world.feed.handle("interval", given, namespace="guest")
        for _ in range(5):
            for number in range(2000):
                await world.service.refresh(f"guest/t{number}")
        assert world.service.scheduled == 2000
        assert len(world.service._heap) <= 4 * 2000 + 1
        await world.clock.advance(MINUTE)
        for _ in range(100):
            await settle()
        assert len(world.fired) == 2000

    play(scenario)


def test_the_system_clock_wakes_at_the_next_second() -> None:
    async def scenario() -> None:
        store, fired = MemoryStore(), asyncio.Event()

        async def fire(registration: Registration) -> int:
            fired.set()
            return 202

        service = AlarmService(store, fire)
        await service.start()
        feed = Feed(store, changed=service.refresh)
        given = {"lifecycleEvent": "CREATE", "triggerName": "t", "cron": "* * * * * *"}
        await feed.handle("alarm", given, namespace="guest")
        await asyncio.wait_for(fired.wait(), 10)
        await service.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("jump", [90 * SECOND, 86_400 * SECOND])
@pytest.mark.parametrize(("kind", "rule"), [("alarm", {"cron": "*/10 * * * * *"}), ("interval", {"minutes": 1})])
def test_a_clock_that_is_ahead_for_a_moment_stops_no_alarm_and_makes_up_no_ticks(
    jump: int, kind: str, rule: dict[str, Any]
) -> None:
    async def scenario(world: World) -> None:
        step = MINUTE if kind == "interval" else 10 * SECOND
        await world.call("CREATE", kind, **rule)
        for _ in range(125):
            await world.clock.advance(SECOND)
        before = len(world.fired)
        assert before >= 2
        await world.clock.advance(jump)
        await world.clock.advance(2 * SECOND)
        assert len(world.fired) == before + 1, "one overdue fire, as after a pause"
        await world.clock.advance(-jump)
        for _ in range(3 * step // SECOND):
            await world.clock.advance(SECOND)
        assert len(world.fired) in (before + 3, before + 4), "the tick that was fired ahead of its time is not fired again"

    play(scenario)


@pytest.mark.parametrize(("kind", "rule"), [("alarm", {"cron": "* * * * *"}), ("interval", {"minutes": 1})])
def test_a_clock_that_is_set_back_for_good_stops_no_alarm(kind: str, rule: dict[str, Any]) -> None:
    async def scenario(world: World) -> None:
        await world.call("CREATE", kind, **rule)
        for _ in range(70):
            await world.clock.advance(SECOND)
        before = len(world.fired)
        await world.clock.advance(-60 * MINUTE)
        for _ in range(300):
            await world.clock.advance(SECOND)
        assert len(world.fired) == before + 5

    play(scenario)


def test_an_alarm_that_has_not_begun_waits_for_its_start_when_the_clock_was_ahead_of_it() -> None:
    async def scenario(world: World) -> None:
        start = NOW + 60 * MINUTE
        await world.call("CREATE", cron="* * * * *", startDate=start)
        await world.clock.advance(120 * MINUTE)
        await world.clock.advance(-120 * MINUTE)
        for _ in range(60):
            await world.clock.advance(SECOND)
        assert len(world.fired) == 1, "the overdue one"

    play(scenario)
