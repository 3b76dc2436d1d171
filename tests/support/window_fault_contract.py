"""What windows must do under faults, over either store: missed ticks, lateness, clocks that jump, orders carried out twice."""

from __future__ import annotations

import orjson
import pytest

from hort.batch import Reference
from hort.close import Settings
from hort.pane_store import HOME, LOOK_AT, REMOVED
from hort.silence import Silence
from hort.window import Settings as WindowSettings
from hort.windows import Grid
from tests.support.window_contract import stream
from tests.support.window_machine import Repeats
from tests.support.windows import START, Record, World, check_all

MINUTE = 60_000


def ticks(world: World, first: int, last: int) -> None:
    """A tick each 15 s, as the alarm has them."""
    for at in range(first, last + 1, 15_000):
        world.tick(at)


def kinds(world: World) -> list[tuple[str, str]]:
    return [(doc["alarm"], doc["device_id"]) for doc in world.alarms]


class FaultContract:
    """Tests over a fixture `world`."""

    @pytest.mark.parametrize("minutes", [5, 20, 65])
    def test_an_outage_costs_no_window(self, world: World, minutes: int) -> None:
        """Batches wait in the journal while nothing runs; those of the first minutes were left out of their windows before."""
        world.send([Record("a", 0, {"x": 1.0}), Record("a", 29_000, {"x": 2.0})])
        world.tick(30_000)
        records = [Record("a", 30_000 + second * 1_000, {"x": float(second)}) for second in range(0, minutes * 60, 19)]
        waiting = [(world.put([record], at=record.at + 1_000), record) for record in records]
        world.clock.now = START + 30_000 + minutes * MINUTE
        for number, (reference, _) in enumerate(waiting):
            assert world.window(reference)["late"] == 0
            world.journal.ack(reference)
            if number % 10 == 0:
                world.clock.advance(1_000)
                world.sink(world.close())
        for _ in range(10):
            world.clock.advance(15_000)
            world.sink(world.close())
        sent = [Record("a", 0, {"x": 1.0}), Record("a", 29_000, {"x": 2.0}), *records]
        check_all(world, sent, until=world.clock.now - START)

    def test_a_batch_that_comes_in_while_a_close_looks_is_seen_by_the_next(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It comes into a pane that the close reads only for its neighbours' windows: found by a fault campaign."""
        records = stream(60, devices=5)
        world.send(records)
        world.tick(90_000)
        late = [Record("d1_|/+ü", 31_000, {"a": 1.0}), Record("d2_|/+ü", 16_000, {"a": 2.0})]
        world.send(late[:1])
        touched = world.panes.touched

        def look(partition: int) -> list[int]:
            found = touched(partition)
            if not came:
                came.append(world.send(late[1:]))
            return found

        came: list[Reference] = []
        with monkeypatch.context() as patch:
            patch.setattr(world.panes, "touched", look)
            world.tick(91_000)
        world.tick(106_000)
        check_all(world, [*records, *late], until=90_000)

    def test_panes_stay_while_a_batch_in_flight_waits_for_them(self, world: World) -> None:
        """The one that is tried again and again is the last in its journal, not the first."""
        world.send([Record("a", 1_000, {"x": 1.0})])
        stuck = world.put([Record("a", 2_000, {"x": 2.0})])
        world.journal.retry_at(stuck, START + 10**9)
        for at in range(15_000, 3_000_000, 300_000):
            world.clock.now = START + at
            world.send([Record("b", at)])
            if at > 2_700_000:
                for _ in range(LOOK_AT + 1):
                    world.put([Record("other", at)])
            world.tick(at)
        assert world.window(stuck)["late"] == 0
        world.tick(3_000_000)
        docs = [doc for doc in world.stored.values() if doc["id"] == "a"]
        assert [(doc["count"], doc["revision"]) for doc in docs] == [(2, 1)] * 3

    def test_what_comes_after_its_panes_were_removed_is_left_out_and_says_so(self, world: World) -> None:
        world.send([Record("a", 1_000, {"x": 1.0})])
        for at in (60_000, 2_000_000):
            world.clock.now = START + at
            world.send([Record("b", at)])
            world.tick(at)
        assert world.panes.removed(HOME) == START + 105_000
        before = dict(world.stored)
        reference = world.put([Record("a", 2_000, {"x": 5.0})], at=3_000)
        assert world.window(reference)["late"] == 1
        assert world.counters.all()["window.expired"] == 1
        world.tick(2_001_000)
        assert {name: world.stored[name] for name in before} == before

    def test_panes_that_are_removed_while_a_batch_is_looked_at(self, world: World) -> None:
        world.send([Record("a", 1_000, {"x": 1.0})])
        for at in (60_000, 2_000_000):
            world.clock.now = START + at
            world.send([Record("b", at)])
            world.tick(at)
        reference = world.put([Record("a", 2_000, {"x": 5.0})], at=3_000)
        windower = world.windower()
        real, outcomes = windower.panes, list[str]()

        class Blind:
            """Does not know at first what was removed."""

            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

            def removed(self, partition: int) -> int:
                return real.removed(partition) if outcomes else 0

            def add(self, *args: object, **options: object) -> str:
                outcomes.append(real.add(*args, **options))  # type: ignore[arg-type]
                return outcomes[-1]

        windower.panes = Blind()  # type: ignore[assignment]
        assert windower.run(reference, WindowSettings(grid=world.grid))["late"] == 1
        assert outcomes == [REMOVED, "merged"]

    @pytest.mark.parametrize(("off", "late"), [(-1, 0), (0, 0), (1, 1), (15_000, 1)])
    def test_the_edge_of_allowed_lateness(self, world: World, off: int, late: int) -> None:
        """A record is late when its last window had ended longer ago than that when the batch came."""
        arrived = 45_000 + world.grid.lateness_ms + off
        world.send([Record("a", 14_999, {"x": 1.0})])
        ticks(world, 15_000, 345_000)
        world.clock.now = START + arrived
        record = Record("a", 0, {"x": 2.0})
        reference = world.put([record])
        assert world.window(reference)["late"] == late
        assert world.counters.all().get("window.late", 0) == late
        world.tick(arrived + 1_000)
        assert {doc["revision"] for doc in world.stored.values()} == {1 - late}
        check_all(world, [Record("a", 14_999, {"x": 1.0}), *([] if late else [record])], until=arrived)

    def test_revisions_rise_one_by_one_under_one_id(self, world: World) -> None:
        records = [Record("a", 1_000, {"x": 0.0})]
        world.send(records)
        world.tick(60_000)
        ids = set(world.stored)
        for number in range(1, 8):
            records.append(Record("a", 1_000 + number, {"x": float(number)}))
            world.send(records[-1:])
            world.tick(60_000 + number * 30_000)
            assert {doc["revision"] for doc in world.stored.values()} == {number}
        assert set(world.stored) == ids
        check_all(world, records, until=300_000)

    @pytest.mark.parametrize("minutes", [1, 10, 55])
    def test_a_close_whose_clock_was_ahead_loses_nothing(self, world: World, minutes: int) -> None:
        """Redis lets panes go by themselves after an hour, so its clock may be ahead by that."""
        records = stream(180, devices=2)
        for second in range(5, 181, 5):
            world.clock.now = START + second * 1_000
            world.send([record for record in records if second - 5 <= record.at // 1_000 < second])
            if second in (60, 75):
                world.tick(second * 1_000 + minutes * MINUTE)
            elif second % 15 == 0:
                world.tick(second * 1_000)
        assert max(doc["revision"] for doc in world.stored.values()) <= 2
        ticks(world, 180_000, 240_000)
        late = Record("d0_|/+ü", 20_000, {"a": 1e9})
        world.send([late])
        world.tick(250_000)
        check_all(world, [*records, late], until=250_000)

    @pytest.mark.parametrize("back_s", [3, 20, 90, 600])
    def test_a_clock_that_goes_back_neither_stalls_nor_doubles(self, world: World, back_s: int) -> None:
        """The suite's clock and the devices' go back together, as on one machine."""
        records = [Record("a", second * 1_000, {"x": float(second)}) for second in range(0, 700, 5)]
        for record in records:
            world.clock.now = START + record.at + 1
            world.send([record])
            if record.at % 15_000 == 0:
                world.tick(record.at + 2_000)
        again = [Record("a", record.at - back_s * 1_000 + 500, record.values) for record in records[-12:]]
        for record in again:
            world.clock.now = START + record.at + 1
            world.send([record])
            if record.at % 15_000 == 500:
                closed = world.tick(record.at + 2_000)
                assert not closed.get("busy")
        assert max(doc["revision"] for doc in world.stored.values()) <= 6
        ticks(world, 705_000, 765_000)
        check_all(world, [*records, *again], until=765_000)

    def test_windows_closed_ahead_of_time_are_closed_again_at_their_time(self, world: World) -> None:
        world.send([Record("a", 1_000, {"x": 1.0})])
        world.tick(600_000)
        world.clock.now = START + 5_000
        world.send([Record("a", 4_000, {"x": 2.0})])
        assert world.tick(6_000)["acked"]
        assert world.tick(15_000)["documents"] == 2
        assert world.panes.state().closed == START + 15_000
        ends = {_end(name): doc["count"] for name, doc in world.stored.items()}
        assert ends == {15_000: 2, 30_000: 1, 45_000: 1}
        ticks(world, 30_000, 60_000)
        check_all(world, [Record("a", 1_000, {"x": 1.0}), Record("a", 4_000, {"x": 2.0})], until=60_000)

    def test_windows_that_lost_a_pane_to_a_clock_far_ahead_stay_as_they_were(self, world: World) -> None:
        world.send([Record("a", at, {"x": 1.0}) for at in (1_000, 16_000, 31_000)])
        world.tick(4_730_000)
        assert world.panes.panes(HOME) == [START + 30_000]
        ticks(world, 45_000, 90_000)
        counts = {_end(name): doc["count"] for name, doc in world.stored.items() if doc["id"] == "a"}
        assert counts == {15_000: 1, 30_000: 2, 45_000: 3, 60_000: 2, 75_000: 1}

    def test_documents_handed_on_by_a_clock_that_was_ahead_block_nothing(self, world: World) -> None:
        world.send([Record("a", 1_000, {"x": 1.0})])
        world.clock.now = START + 600_000
        lost = world.close()
        world.clock.now = START + 16_000
        answer = world.close()
        assert answer["again"]
        assert answer["batch_id"] == lost["batch_id"]

    def test_a_client_that_orders_twice_changes_nothing_twice(self, world: World) -> None:
        """An answer lost between Redis and the action: the second commit was refused, and its documents were thrown away."""
        records = stream(60, devices=3)
        closer = world.closer()
        closer.panes = Repeats(closer.panes)
        for second in range(0, 60, 5):
            world.clock.now = START + (second + 5) * 1_000
            part = [record for record in records if second <= record.at // 1_000 < second + 5]
            for partition in range(2):
                reference = world.put([r for r in part if r.device.startswith("d0") == (partition == 0)], partition=partition)
                world.window(reference)
                world.journal.ack(reference)
            world.sink(closer.run(Settings(grid=world.grid, partitions=2)))
        world.clock.now = START + 120_000
        world.sink(closer.run(Settings(grid=world.grid, partitions=2)))
        check_all(world, records, until=120_000)

    def test_a_turn_asked_for_twice_is_one_s_own(self, world: World) -> None:
        assert world.panes.begin("mine", ttl_ms=60_000)
        assert world.panes.begin("mine", ttl_ms=60_000)
        assert not world.panes.begin("other", ttl_ms=60_000)
        world.panes.end("mine")
        assert world.panes.begin("other", ttl_ms=60_000)
        world.panes.end("other")

    def test_silent_once_and_resumed_once_over_an_outage(self, world: World) -> None:
        """`gone` falls silent before it, `back` returns during it, `steady` never stopped, `lost` stops with it."""
        for at in range(0, 301_000, 15_000):
            world.clock.now = START + at
            devices = ["steady", "lost", *(["gone", "back"] if at < 60_000 else [])]
            world.send([Record(device, at) for device in devices])
            world.tick(at)
        assert kinds(world) == [("silent", "back"), ("silent", "gone")]
        waiting = [
            world.put([Record("steady", at), *([Record("back", at)] if at > 600_000 else [])], at=at)
            for at in range(315_000, 900_000, 15_000)
        ]
        ticks(world, 902_000, 947_000)
        for reference in waiting * 2:
            world.window(reference)
        for reference in waiting:
            world.journal.ack(reference)
        for at in range(962_000, 1_200_000, 15_000):
            world.clock.now = START + at
            again = world.put([Record("steady", at), Record("back", at)])
            for _ in range(2):
                world.window(again)
            world.journal.ack(again)
            world.tick(at)
        assert kinds(world)[2:] == [("resumed", "back"), ("silent", "lost")]

    def test_nobody_is_silent_who_was_not_watched(self, world: World) -> None:
        """After an outage of everything devices get their time to be heard, since what they sent may still be with the broker."""
        for at in range(0, 60_000, 15_000):
            world.clock.now = START + at
            world.send([Record("a", at)])
            world.tick(at)
        ticks(world, 600_000, 660_000)
        world.send([Record("a", 661_000)])
        ticks(world, 675_000, 700_000)
        assert kinds(world) == []

    def test_a_clock_that_jumps_makes_nobody_silent(self, world: World) -> None:
        for number, at in enumerate(range(0, 600_000, 15_000)):
            world.clock.now = START + at
            world.send([Record("a", at)])
            world.tick(at + (0, 0, 0, 0, 0, 600_000, -600_000)[number % 7])
        assert kinds(world) == []

    def test_an_hour_that_no_device_survives_leaves_no_state(self, world: World) -> None:
        world.grid = Grid(lateness_ms=60_000, retention_ms=60_000)
        for at in range(0, 1_800_000, 60_000):
            world.clock.now = START + at
            world.send([Record(f"d{at}-{number}", at, {"x": 1.0}) for number in range(5)])
            world.tick(at, silence=Silence(forget_after_ms=600_000))
        assert len(world.panes.panes(HOME)) <= 6
        known = sum(world.presence.forget(HOME, name, 2**53) for name in world.presence.types(HOME))
        assert known <= 60


def _end(doc_id: str) -> int:
    return int(orjson.loads(doc_id)[-1]) - START
