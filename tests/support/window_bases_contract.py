"""What windows must do where the merged content of panes goes, over either store: it expires, and clocks jump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hort.close import Settings
from hort.pane_store import HOME, Commit, PaneKey
from tests.support.window_contract import Instead, stream
from tests.support.windows import START, Record, World, check_all

RECORDS = stream(30, devices=10)
LATE = [Record("d1_|/+ü", 5_500, {"a": 2.0})]


class BasesContract:
    """Tests over a fixture `world`."""

    def test_a_base_that_goes_before_the_commit_is_not_taken(self, world: World) -> None:
        commit = world.panes.commit

        def commit_after_parts_went(item: Commit) -> bool:
            for compaction in item.settlement.compactions:
                world.panes.drop_parts(compaction.pane, compaction.base.name)
            return commit(item)

        self._close(world, commit=commit_after_parts_went)
        check_all(world, RECORDS, until=60_000)
        assert len(world.panes.touched(HOME)) == 2
        self._goes_on(world)

    def test_a_commit_that_does_not_hear_of_itself_keeps_what_it_wrote(self, world: World) -> None:
        commit = world.panes.commit

        def commit_unheard(item: Commit) -> bool:
            assert commit(item)
            world.sink({**item.references[0].as_result(), "drain": True})
            return False

        self._close(world, commit=commit_unheard)
        assert world.counters.all()["close.in-vain"] == 1
        check_all(world, RECORDS, until=60_000)
        self._goes_on(world)

    def test_what_goes_while_a_close_reads_it_is_not_taken_for_empty(self, world: World) -> None:
        write = world.panes.write_parts

        def write_then_go(pane: PaneKey, name: str, parts: Mapping[str, bytes]) -> None:
            write(pane, name, parts)
            world.panes.drop_parts(pane, name)

        self._close(world, write_parts=write_then_go)
        assert world.stored == {}
        assert world.counters.all() == {"window.records": len(RECORDS), "close.in-vain": 1}
        self._goes_on(world)

    def test_a_base_that_is_gone_stops_no_close(self, world: World) -> None:
        self._close(world)
        world.send(LATE)
        before = {content.base.name for content in self._contents(world) if content.base}
        read = world.panes.read_parts

        def read_what_is_there(pane: PaneKey, name: str, parts: Sequence[str]) -> list[bytes]:
            return [] if name in before else read(pane, name, parts)

        self._close(world, read_parts=read_what_is_there)
        assert world.panes.touched(HOME) == []
        assert world.counters.all()["close.panes-expired"] == 2
        assert "close.in-vain" not in world.counters.all()

    def _close(self, world: World, **instead: Any) -> None:
        if not world.batches:
            world.send(RECORDS)
        world.clock.now = START + 60_000
        closer = world.closer()
        closer.panes = Instead(closer.panes, **instead)
        world.sink(closer.run(Settings(grid=world.grid)))

    def _contents(self, world: World) -> list[Any]:
        keys = [PaneKey(partition=HOME, start=start, length=15_000) for start in world.panes.panes(HOME)]
        return [world.panes.content(key) for key in keys]

    def _goes_on(self, world: World) -> None:
        world.send(LATE)
        world.tick(61_000)
        check_all(world, [*RECORDS, *LATE], until=60_000)
        assert world.panes.touched(HOME) == []
