"""What windows must do while a backlog drains, over either store: closes then are put off, and batches come in as they look."""

from __future__ import annotations

import pytest

from hort.batch import Reference
from hort.windows import Grid
from tests.support.windows import START, Record, World, check_all

MINUTE = 60_000


def send(world: World, records: list[Record], *, partition: int) -> None:
    """A batch that goes the whole way at once."""
    reference = world.put(records, partition=partition)
    world.window(reference)
    world.journal.ack(reference)


def get_through_at_a_look(
    world: World, reference: Reference, patch: pytest.MonkeyPatch, *, partition: int
) -> None:
    """The next close sees no pane that this batch touches, and the batch does not wait when it is done looking."""
    touched = world.panes.touched

    def look(where: int) -> list[int]:
        found = touched(where)
        if where == partition:
            world.window(reference)
            world.journal.ack(reference)
        return found

    patch.setattr(world.panes, "touched", look)


class BacklogContract:
    """Tests over a fixture `world`."""

    def test_what_is_closed_again_bit_by_bit_keeps_its_panes(self, world: World) -> None:
        """Nothing waits any more, so each run removed the panes it settled: its neighbours' windows were without them."""
        self._drain(world, stuck=0)

    def test_windows_of_a_type_keep_the_panes_of_all_partitions(self, world: World) -> None:
        self._drain(world, stuck=1)

    def test_a_device_whose_batch_gets_through_as_a_close_looks_is_not_silent(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for at in range(0, 240_000, 15_000):
            world.clock.now = START + at
            world.send([Record("steady", at), *([Record("slow", at)] if at % 60_000 == 0 and at < 180_000 else [])])
            if at == 180_000:
                waiting = world.put([Record("slow", at)])
            world.tick(at + 5_000)
        with monkeypatch.context() as patch:
            get_through_at_a_look(world, waiting, patch, partition=0)
            world.tick(245_000)
        assert world.journal.created(waiting) is None
        world.tick(260_000)
        assert world.alarms == []

    def test_nobody_is_silent_for_what_a_later_run_reads(self, world: World) -> None:
        """Of the devices that sent all the time, but for one that stopped before the backlog was through."""
        devices = [f"d{number}" for number in range(8)]
        for at in range(0, MINUTE, 15_000):
            world.clock.now = START + at
            world.send([Record(device, at) for device in devices])
            world.tick(at + 5_000)
        waiting = [
            world.put([Record(device, at) for device in devices[at > 2 * MINUTE :]], at=at)
            for at in range(MINUTE, 6 * MINUTE, 15_000)
        ]
        for at in range(65_000, 6 * MINUTE, 15_000):
            world.tick(at)
        assert world.alarms == []
        for reference in waiting:
            world.window(reference)
            world.journal.ack(reference)
        for _ in range(20):
            world.clock.advance(15_000)
            world.send([Record(device, world.clock.now - START - 1_000) for device in devices[1:]])
            world.sink(world.close(max_bytes=20_000))
        assert world.counters.all()["close.put-off"] > 20
        assert [(doc["alarm"], doc["device_id"]) for doc in world.alarms] == [("silent", "d0")]

    def test_panes_stay_for_a_batch_that_gets_through_as_a_close_looks(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.grid = Grid(lateness_ms=MINUTE, retention_ms=MINUTE)
        records = [Record("a", 60_000, {"x": 1.0}), Record("b", 75_000, {"x": 5.0}), Record("c", 480_000)]
        send(world, [Record("c", 0)], partition=1)
        send(world, records[:1], partition=0)
        waiting = world.put(records[1:2], at=76_000, partition=1)
        for at in range(120_000, 480_001, 60_000):
            world.tick(at, partitions=2)
        send(world, records[2:], partition=1)
        with monkeypatch.context() as patch:
            get_through_at_a_look(world, waiting, patch, partition=1)
            world.tick(495_000, partitions=2)
        assert world.journal.created(waiting) is None
        world.tick(510_000, partitions=2)
        check_all(world, [Record("c", 0), *records], until=510_000)

    def _drain(self, world: World, *, stuck: int) -> None:
        world.grid = Grid(lateness_ms=MINUTE, retention_ms=MINUTE)
        records = [Record("a", 0, {"x": 1.0}), Record("b", 0, {"x": 1.0})]
        send(world, records[:1], partition=0)
        send(world, records[1:], partition=stuck)
        waiting = []
        for at in range(15_000, 8 * MINUTE, 15_000):
            world.clock.now = START + at
            records += [Record("a", at, {"x": 2.0}), Record("b", at, {"x": 3.0})]
            waiting.append(world.put(records[-1:], partition=stuck))
            send(world, records[-2:-1], partition=0)
            world.tick(at + 1_000, partitions=2)
        for reference in waiting:
            assert world.window(reference)["late"] == 0
            world.journal.ack(reference)
        for _ in range(15):
            world.clock.advance(15_000)
            world.sink(world.close(partitions=2, max_bytes=10_000))
        assert world.counters.all()["close.put-off"] > 30
        check_all(world, records, until=world.clock.now - START)
        world.clock.advance(80 * MINUTE)
        world.sink(world.close(partitions=2))
        assert world.panes.panes(0) == world.panes.panes(1) == []
