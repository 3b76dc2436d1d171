"""What windows must do while a backlog drains, over either store: closes then are put off, and batches come in as they look."""

from __future__ import annotations

from hort.windows import Grid
from tests.support.windows import START, Record, World, check_all

MINUTE = 60_000


def send(world: World, records: list[Record], *, partition: int) -> None:
    """A batch that goes the whole way at once."""
    reference = world.put(records, partition=partition)
    world.window(reference)
    world.journal.ack(reference)


class BacklogContract:
    """Tests over a fixture `world`."""

    def test_what_is_closed_again_bit_by_bit_keeps_its_panes(self, world: World) -> None:
        """Nothing waits any more, so each run removed the panes it settled: its neighbours' windows were without them."""
        self._drain(world, stuck=0)

    def test_windows_of_a_type_keep_the_panes_of_all_partitions(self, world: World) -> None:
        self._drain(world, stuck=1)

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
