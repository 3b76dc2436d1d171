"""What windows must do over either store; the functional and the integration tests inherit it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from hort import batch, pane_parts, pane_views, window_documents
from hort.close import Settings
from hort.errors import StoreUnavailable
from hort.pane_store import HOME, Commit, PaneStore
from hort.window import Settings as WindowSettings
from hort.windows import Grid
from tests.support.windows import START, Record, World, check_all, window_key


def stream(seconds: int, *, seed: int = 1, devices: int = 5) -> list[Record]:
    """A record a device and second, with numbers that a careless variance gets wrong."""
    source = random.Random(seed)
    return [
        Record(
            f"d{device}_|/+ü",
            second * 1000 + source.randrange(1000),
            {"a": 1e9 + source.random(), "b": -source.random()},
        )
        for second in range(seconds)
        for device in range(devices)
    ]


@contextmanager
def tiny_pieces() -> Iterator[None]:
    """Windows of a few records are cut as those of hundreds of thousands of devices are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pane_parts, "PART_BYTES", 250)
        patch.setattr(pane_parts, "SPILL_BYTES", 400)
        patch.setattr(pane_views, "CACHE_BYTES", 500)
        patch.setattr(window_documents, "BATCH_BYTES", 1_500)
        patch.setattr(window_documents, "PORTION", 2)
        yield


class PiecesContract:
    """Tests over a fixture `world` in whose close everything is cut into tiny pieces."""

    def test_a_window_of_many_devices_is_closed_in_pieces(self, world: World) -> None:
        records = stream(60, devices=40)
        references = [world.put(records[first : first + 300]) for first in range(0, len(records), 300)]
        for reference in references:
            world.window(reference)
        answer = world.tick(45_000, max_bytes=10**9)
        assert answer["batches"] > 50
        world.tick(100_000, max_bytes=10**9)
        check_all(world, records, until=100_000)

    def test_a_close_that_dies_between_its_pieces_is_done_again(self, world: World) -> None:
        """Nothing that it wrote is seen, and the next one begins anew."""
        records = stream(30, devices=20)
        world.send(records)
        world.clock.now = START + 60_000
        stage = world.panes.stage
        staged: list[batch.Reference] = []

        def stage_three(reference: batch.Reference, *args: Any, **options: Any) -> None:
            if len(staged) == 3:
                raise StoreUnavailable("killed")
            staged.append(reference)
            stage(reference, *args, **options)

        closer = world.closer()
        closer.panes = Instead(closer.panes, stage=stage_three)
        with pytest.raises(StoreUnavailable):
            closer.run(_settings(world))
        assert len(staged) == 3
        assert world.panes.outbox(world.clock()).count == 0
        late = [Record("d1_|/+ü", 1_500, {"a": 2.0})]
        world.send(late)
        world.tick(61_000)
        check_all(world, [*records, *late], until=60_000)
        assert {doc["revision"] for doc in world.stored.values()} == {0}

    def test_documents_that_never_were_handed_on_are_not_committed(self, world: World) -> None:
        world.send(stream(30, devices=20))
        world.clock.now = START + 60_000
        closer, commit = world.closer(), world.panes.commit

        def commit_after_one_expired(item: Commit) -> bool:
            world.panes.discard(item.references[1:2])
            return commit(item)

        closer.panes = Instead(closer.panes, commit=commit_after_one_expired)
        assert closer.run(_settings(world))["acked"]
        world.tick(61_000)
        check_all(world, stream(30, devices=20), until=60_000)

    def test_late_data_of_one_device_writes_only_its_windows_again(self, world: World) -> None:
        records = stream(40, devices=20)
        world.send(records)
        world.tick(90_000)
        late = Record("d7_|/+ü", 20_500, {"a": 1e9})
        world.send([late])
        answer = world.tick(91_000)
        assert (answer["windows_again"], answer["documents"]) == (3, 6)
        check_all(world, [*records, late], until=90_000)

    def test_a_device_of_many_is_silent_once_and_resumed_once(self, world: World) -> None:
        for at in range(0, 300_000, 15_000):
            world.clock.now = START + at
            gone = [Record("gone", at)] if at < 30_000 or at >= 240_000 else []
            world.send([*(Record(f"steady{number}", at) for number in range(12)), *gone])
            world.tick(at)
        world.tick(320_000)
        found = [(doc["alarm"], doc["device_id"]) for doc in world.alarms]
        assert found == [("silent", "gone"), ("resumed", "gone")]


class WindowContract:
    """Tests over a fixture `world`."""

    def test_every_closed_window_is_right(self, world: World) -> None:
        records = stream(120)
        for first in range(0, 120, 3):
            world.clock.now = START + (first + 3) * 1000
            world.send([r for r in records if first * 1000 <= r.at < (first + 3) * 1000])
            world.tick((first + 3) * 1000)
        world.tick(120_000)
        check_all(world, records, until=120_000)

    def test_a_batch_counts_once_however_often_and_in_whatever_order_it_comes(self, world: World) -> None:
        records = stream(60)
        random.Random(2).shuffle(records)
        references = [world.put(records[first : first + 40]) for first in range(0, len(records), 40)]
        for reference in references * 3:
            world.window(reference)
        for reference in references[::2]:
            world.journal.ack(reference)
            assert world.window(reference)["acked"]
        world.tick(120_000)
        check_all(world, records, until=120_000)

    def test_a_batch_that_comes_again_after_closing_changes_nothing(self, world: World) -> None:
        reference = world.put([Record("a", 1000, {"x": 1.0})])
        world.window(reference)
        world.tick(60_000)
        assert world.window(reference)["again"]
        before = dict(world.stored)
        assert world.tick(75_000).get("documents", 0) == 0
        assert world.stored == before

    def test_two_deliveries_at_once_with_a_close_between_count_once(self, world: World) -> None:
        reference = world.put([Record("a", 1000, {"x": 1.0})])
        slow = world.windower()
        add = slow.panes.add

        def add_after_another_delivery_was_closed(*args: Any, **options: Any) -> str:
            world.window(reference)
            world.tick(15_000)
            return add(*args, **options)

        slow.panes = Instead(slow.panes, add=add_after_another_delivery_was_closed)
        slow.run(reference, WindowSettings(grid=world.grid))
        world.tick(60_000)
        check_all(world, [Record("a", 1000, {"x": 1.0})], until=60_000)
        assert world.counters.all()["window.records"] == 1

    def test_missed_ticks_are_made_up_a_bounded_number_a_run(self, world: World) -> None:
        records = [Record("a", second * 1000, {"x": float(second)}) for second in range(0, 300, 7)]
        for record in records:
            world.clock.now = START + record.at
            world.send([record])
        answers = [world.tick(600_000, max_windows=4) for _ in range(8)]
        assert (answers[0]["windows"], answers[0]["put_off"]) == (4, 18)
        assert world.counters.all()["close.put-off"] == sum(answer.get("put_off", 0) for answer in answers)
        check_all(world, records, until=600_000)

    def test_late_data_writes_a_window_again_with_a_higher_revision(self, world: World) -> None:
        early, late, later = (Record("a", at, {"x": float(at)}) for at in (1000, 2000, 3000))
        other = Record("b", 1500, {"x": 5.0})
        world.send([early, other])
        world.tick(60_000)
        assert {doc["revision"] for doc in world.stored.values()} == {0}
        for number, record in enumerate((late, later), start=1):
            world.send([record])
            world.tick(61_000 + number)
            revisions = {doc["id"]: doc["revision"] for doc in world.stored.values()}
            assert revisions == {"a": number, None: number, "b": 0}
        check_all(world, [early, late, later, other], until=60_000)

    def test_later_than_the_allowed_lateness_is_left_out_and_marked(self, world: World) -> None:
        world.clock.now = START + 400_000
        records = [
            Record("a", 399_000, {"x": 1.0}),
            Record("a", 20_000, {"x": 2.0}),
            Record("a", 2_000_000, {"x": 3.0}),
        ]
        reference = world.put(records)
        assert world.window(reference)["late"] == 2
        stage = world.journal.read_stage(reference, ["late"])
        assert stage is not None
        assert memoryview(stage["late"]).cast("I").tolist() == [1, 2]
        counts = world.counters.all()
        assert (counts["window.late"], counts["window.ahead"], counts["window.records"]) == (1, 1, 3)
        world.clock.advance(10_000_000)
        assert world.window(reference)["late"] == 2
        world.tick(450_000)
        check_all(world, records[:1], until=450_000)

    def test_what_waited_in_the_journal_is_not_late(self, world: World) -> None:
        records = stream(30)
        reference = world.put(records, at=31_000)
        world.tick(600_000)
        assert world.window(reference)["late"] == 0
        world.tick(601_000)
        check_all(world, records, until=600_000)

    def test_documents_that_were_not_stored_are_handed_on_again_before_anything_new(
        self, world: World
    ) -> None:
        records = [Record("a", 1000, {"x": 1.0}), Record("a", 14_000, {"x": 2.0})]
        world.send(records[:1])
        world.clock.now = START + 15_000
        lost = world.close()
        world.send(records[1:])
        again = world.tick(30_000)
        assert again["again"]
        assert again["batch_id"] == lost["batch_id"]
        assert world.tick(31_000)["documents"] == 4
        world.tick(100_000)
        check_all(world, records, until=100_000)

    @pytest.mark.parametrize("method", ["content", "read_batch", "read_parts"])
    def test_of_two_closes_at_once_one_ends(self, world: World, method: str) -> None:
        """Their turns do not overlap but where one outlived its own."""
        world.send([Record("a", 1000, {"x": 1.0})])
        world.clock.now = START + 15_000
        state = world.panes.state()
        first, second = world.closer(), world.closer()
        read = getattr(second.panes, method)

        def read_after_the_first_closed(*args: Any) -> Any:
            found = read(*args)
            if world.panes.state() == state:
                world.sink(first.run(_settings(world)))
            return found

        first.panes = Instead(first.panes, begin=lambda *_, **__: True)
        second.panes = Instead(second.panes, **{method: read_after_the_first_closed})
        second_answer = second.run(_settings(world))
        assert second_answer["acked"]
        assert world.panes.state().generation == state.generation + 1
        world.tick(60_000)
        check_all(world, [Record("a", 1000, {"x": 1.0})], until=60_000)

    @pytest.mark.parametrize("method", ["content", "read_batch", "read_parts"])
    def test_a_batch_that_comes_while_a_close_reads_is_not_lost(self, world: World, method: str) -> None:
        records = [Record("a", 1000, {"x": 1.0}), Record("a", 2000, {"x": 5.0})]
        world.send(records[:1])
        world.clock.now = START + 15_000
        closer = world.closer()
        read = getattr(closer.panes, method)
        sent: list[batch.Reference] = []

        def read_then_send(*args: Any) -> Any:
            found = read(*args)
            if not sent:
                sent.append(world.send(records[1:]))
            return found

        closer.panes = Instead(closer.panes, **{method: read_then_send})
        world.sink(closer.run(_settings(world)))
        assert all(doc["count"] == 1 for doc in world.stored.values())
        world.tick(16_000)
        assert {doc["revision"] for doc in world.stored.values()} == {1}
        world.tick(100_000)
        check_all(world, records, until=100_000)

    def test_a_device_is_silent_once_and_resumed_once(self, world: World) -> None:
        for at in range(0, 300_000, 15_000):
            world.clock.now = START + at
            world.send(
                [Record("steady", at), *([Record("gone", at)] if at < 30_000 or at >= 240_000 else [])]
            )
            world.tick(at)
        world.tick(320_000)
        assert [(doc["alarm"], doc["device_id"]) for doc in world.alarms] == [
            ("silent", "gone"),
            ("resumed", "gone"),
        ]
        assert world.alarms[0]["last_seen"] < world.alarms[0]["window_end"]
        for at in range(335_000, 455_000, 15_000):
            world.tick(at)
        assert [doc["alarm"] for doc in world.alarms[2:]] == ["silent", "silent"]

    def test_a_backlog_makes_no_device_silent(self, world: World) -> None:
        world.send([Record("a", 0)])
        world.tick(45_000)
        waiting = world.put([Record("a", 46_000)], at=46_000)
        # The journal is known by the batch that came through it; this one waits in it for five minutes.
        for at in range(60_000, 341_000, 15_000):
            world.tick(at)
        assert world.alarms == []
        world.window(waiting)
        world.journal.ack(waiting)
        world.tick(346_000)
        assert [doc["alarm"] for doc in world.alarms] == ["silent"]

    def test_too_many_devices_count_for_their_type_only(self, world: World) -> None:
        records = [Record(f"d{number}", 1000, {"x": float(number)}) for number in range(10)]
        world.send(records, max_devices=4)
        world.send([Record("t", 1000, {"x": 1.0}, device_type="other")], max_types=1)
        world.tick(60_000)
        devices = {doc["id"] for doc in world.stored.values() if doc["level"] == "device"}
        totals = {doc["count"] for doc in world.stored.values() if doc["level"] == "device_type"}
        assert (len(devices), totals) == (4, {10})
        counts = world.counters.all()
        assert (counts["window.devices-folded"], counts["window.devices-dropped"]) == (6, 1)

    def test_vanished_devices_and_old_panes_are_forgotten(self, world: World) -> None:
        world.send([Record("a", 0)])
        world.tick(60_000)
        assert world.panes.panes(HOME)
        world.tick(5_000_000)
        assert world.panes.panes(HOME) == []
        world.tick(90_000_000)
        assert world.presence.types(HOME) == []

    def test_one_close_runs_at_a_time_and_one_that_died_blocks_no_other_for_long(self, world: World) -> None:
        """Ticks come each 15 s, whether or not the last close has ended."""
        world.send([Record("a", 0)])
        world.clock.now = START + 15_000
        assert world.panes.begin("dead", ttl_ms=60_000)
        assert world.close()["busy"]
        world.panes.keep("another", ttl_ms=1)
        world.panes.end("another")
        assert world.close()["busy"]
        world.panes.end("dead")
        assert world.panes.begin("dead", ttl_ms=60_000)
        world.panes.keep("dead", ttl_ms=1)
        assert settled(lambda: world.close().get("documents")) == 2

    def test_documents_that_a_sink_has_taken_are_not_handed_on(self, world: World) -> None:
        world.send([Record("a", 0), Record("a", 16_000)])
        world.clock.now = START + 15_000
        answer = world.close()
        reference = batch.Reference(answer["batch_id"], answer["journal"])
        world.journal.take(reference, due_ms=world.clock() + 60_000)
        world.clock.advance(30_000)
        assert world.close()["busy"]
        world.clock.advance(30_000)
        assert world.close()["batch_id"] == reference.batch_id

    def test_nothing_due_is_answered_without_a_batch(self, world: World) -> None:
        assert world.tick(0)["acked"]
        world.send([Record("a", 0)])
        assert world.tick(14_000)["acked"]
        assert world.tick(15_000)["documents"] == 2
        assert world.tick(16_000)["acked"]

    def test_documents_of_a_run_are_bounded(self, world: World) -> None:
        records = stream(60)
        world.send(records)
        for _ in range(20):
            world.tick(200_000, max_bytes=1)
        check_all(world, records, until=200_000)
        world.send([Record("d0_|/+ü", 30_500, {"a": 1.0})])
        for _ in range(20):
            world.tick(201_000, max_bytes=1)
        check_all(world, [*records, Record("d0_|/+ü", 30_500, {"a": 1.0})], until=201_000)

    @pytest.mark.parametrize(("size", "slide"), [(45, 20), (10, 10), (60, 1)])
    def test_other_grids(self, world: World, size: int, slide: int) -> None:
        world.grid = Grid(size_ms=size * 1000, slide_ms=slide * 1000)
        records = stream(50 if slide > 1 else 20, devices=2)
        for first in range(0, len(records), 30):
            world.send(records[first : first + 30])
        for _ in range(4):
            world.tick(200_000)
        check_all(world, records, until=200_000)

    def test_partitions_meet_in_the_windows_of_their_type(self, world: World) -> None:
        records = stream(60, devices=6)
        for second in range(60):
            world.clock.now = START + (second + 1) * 1000
            for partition in range(3):
                devices = {f"d{number}_|/+ü" for number in (partition, partition + 3)}
                part = [one for one in records if one.at // 1000 == second and one.device in devices]
                reference = world.put(part, partition=partition)
                world.window(reference)
                world.journal.ack(reference)
            if second % 15 == 14:
                world.tick((second + 1) * 1000 + 2_000, partitions=3)
        check_all(world, records, until=60_000)

    def test_types_with_other_fields_and_fields_that_come_later(self, world: World) -> None:
        records = [
            Record("a", 1000, {"x": 1.0}),
            Record("a", 2000, {"y": 2.0, "x": 3.0}),
            Record("a", 3000),
            Record("a", 1000, {"x": -1.0}, device_type="other"),
            Record("a", 1000, {}, device_type="bare", event="e"),
        ]
        for record in records:
            world.send([record])
        world.tick(100_000)
        check_all(world, records, until=100_000)

    def test_ids_are_of_level_key_and_window_end(self, world: World) -> None:
        world.send([Record("a", 1000, {"x": 1.0})])
        world.tick(15_000)
        for doc_id, doc in world.stored.items():
            level, *key, end = orjson.loads(doc_id)
            assert [end, key] == [START + 15_000, ["bike", "a", "status"] if level == "d" else ["bike"]]
            assert window_key(doc)[4] == 15_000
            assert doc["window_start"] < doc["window_end"] == doc["windowclose date"] == doc["@timestamp"]


def settled(ask: Callable[[], Any]) -> Any:
    """The first answer that is not empty, within some seconds."""
    deadline = time.monotonic() + 60
    while not (found := ask()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _settings(world: World) -> Settings:
    return Settings(grid=world.grid)


class Instead:
    """A pane store of which some methods go another way."""

    def __init__(self, store: PaneStore, **methods: Callable[..., Any]) -> None:
        self._store = store
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._store, name)
