"""The sink over the in-memory twins."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from hort import batch, mapped_fields
from hort.batch import Reference
from hort.bulk_writer import BulkWriter
from hort.counters import MemoryCounters
from hort.document_store import StoreBusy
from hort.documents import INDEX_OF, bulk_line
from hort.errors import SinkUnavailable
from hort.schema import NUMERIC
from hort.sink import Sink
from hort.testing import FakeClock, MemoryDocuments, MemoryJournal
from tests.support.ingest import buried, messages

REFERENCE = Reference("aaaa-0-1", "hort:{0}:journal:aaaa")


@dataclass
class World:
    prefix: str = ""
    clock: FakeClock = field(default_factory=FakeClock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    counters: MemoryCounters = field(default_factory=MemoryCounters)

    def put(self, fields: Mapping[str, bytes]) -> None:
        raw = batch.pack(messages({"n": 1}))
        self.journal.put(REFERENCE, raw, trigger="/_/t", count=1, now=self.clock())
        self.journal.write_stage(REFERENCE, fields)

    def run(self) -> dict[str, Any]:
        seconds = [0.0]
        writer = BulkWriter(
            self.documents,
            time_s=45,
            clock=lambda: seconds[0],
            pause=lambda more: seconds.append(seconds.pop() + more),
        )
        return Sink(self.journal, self.documents, self.counters, self.prefix, self.clock).run(
            REFERENCE, writer
        )

    def ids(self) -> dict[str, list[str]]:
        return {index: list(found) for index, found in self.documents.indices.items()}


def lines(*ids: str, **more: Any) -> bytes:
    return b"".join(bulk_line(name, {"name": name, **more}) for name in ids)


def test_each_field_goes_to_its_index_and_the_batch_is_acknowledged() -> None:
    world = World(prefix="mine-")
    world.put({name: lines(f"{name}-1", f"{name}-2") for name in INDEX_OF})

    result = world.run()

    assert world.ids() == {f"mine-{index}": [f"{name}-1", f"{name}-2"] for name, index in INDEX_OF.items()}
    assert result["stored"] == dict.fromkeys(INDEX_OF.values(), 2)
    assert world.journal.size(REFERENCE.journal) == 0
    assert world.counters.all()["sink.all-events"] == 2


def test_fields_of_other_actions_are_left_alone() -> None:
    world = World()
    world.put({"keys": b"[]", "cols": b"\x90", "count": b"0", "events": b"", "dead": b""})

    assert world.run()["stored"] == {}
    assert world.documents.requests == []
    assert world.journal.size(REFERENCE.journal) == 0


def test_batch_that_is_stored_already_is_left_alone() -> None:
    world = World()

    assert world.run() == {**REFERENCE.as_result(), "acked": True}


def test_late_records_are_marked() -> None:
    world = World()
    world.put({"events": lines("a", "b", "c", data={"x": 1}), "late": array("I", [0, 2]).tobytes()})

    world.run()

    found = world.documents.indices["all-events"]
    assert {name: document.get("late") for name, document in found.items()} == {
        "a": True,
        "b": None,
        "c": True,
    }


def test_refused_document_becomes_a_dead_letter_and_the_rest_is_stored() -> None:
    world = World()
    world.documents.refuse = lambda _, document: (
        (400, "document_parsing_exception") if document.get("name") == "b" else None
    )
    world.put({"events": lines("a", "b", topic="t", **{"@timestamp": "2026-01-31T12:00:00.123Z"})})

    result = world.run()

    assert result["stored"] == {"all-events": 1, "dead": 1}
    ((name, letter),) = world.documents.indices["dead-letters"].items()
    assert name == "all-events/b-sink"
    assert (letter["stage"], letter["reason"], letter["topic"]) == ("sink", "document_parsing_exception", "t")
    assert letter["@timestamp"] == "2026-01-31T12:00:00.123Z"
    assert b'"name":"b"' in buried(letter)
    assert world.counters.all()["sink.dead"] == 1
    assert world.counters.all()["dead.sink.document_parsing_exception"] == 1
    world.run()
    assert world.counters.all()["dead.sink.document_parsing_exception"] == 1, "a batch that comes again counts once"


@pytest.mark.parametrize(("problem", "reason"), [("HTTP 429 busy", "429"), ("ConnectionError: refused", "unreachable")])
def test_what_is_tried_again_is_counted_by_reason_also_when_the_batch_is_put_off(problem: str, reason: str) -> None:
    world = World()
    world.put({"events": lines("a", "b")})
    world.documents.failures = [StoreBusy(problem) for _ in range(5)]

    with pytest.raises(SinkUnavailable):
        world.run()

    assert world.counters.all() == {"sink.unavailable": 1, f"sink.retried.{reason}": 8}
    world.run()
    assert world.counters.all() == {"sink.unavailable": 1, f"sink.retried.{reason}": 8, "sink.all-events": 2}


@pytest.mark.parametrize("error", [(400, "validation_exception"), (400, "<html>no name</html>"), (403, "security_exception")])
def test_what_is_no_fault_of_a_document_is_put_off_told_and_stored_when_it_is_lifted(
    error: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Three messages became dead letters for a shard limit, and these were refused and lost."""
    world = World()
    world.documents.refuse = lambda *_: error
    world.put({"events": lines("a", "b", "c"), "dead": lines("d")})

    with pytest.raises(SinkUnavailable, match=str(error[0])):
        world.run()
    assert error[1] in capsys.readouterr().err
    assert world.ids() == {}

    world.documents.refuse = lambda *_: None
    assert world.run()["stored"] == {"all-events": 3, "dead-letters": 1}
    assert not [name for name in world.counters.all() if name.startswith("dead.")]


def test_index_that_takes_nothing_now_keeps_the_batch_and_nothing_from_the_others() -> None:
    world = World()
    world.documents.refuse = lambda index, _: (403, "cluster_block_exception") if index == "all-events" else None
    world.put({"events": lines("a"), "results": lines("r"), "dead": lines("d")})

    with pytest.raises(SinkUnavailable, match="cluster_block_exception"):
        world.run()
    assert world.ids() == {"model-results": ["r"], "dead-letters": ["d"]}
    assert world.journal.size(REFERENCE.journal) == 1


@pytest.mark.parametrize("error", [(400, "document_parsing_exception"), (429, "busy")])
def test_dead_letter_that_is_not_taken_keeps_the_batch(error: tuple[int, str]) -> None:
    world = World()
    world.documents.refuse = lambda index, _: error if index == "dead-letters" else (400, "document_parsing_exception")
    world.put({"events": lines("a")})

    with pytest.raises(SinkUnavailable, match=error[1]):
        world.run()
    assert world.journal.size(REFERENCE.journal) == 1

    world.documents.refuse = lambda index, _: None if index == "dead-letters" else (400, "document_parsing_exception")
    assert world.run()["stored"] == {"dead": 1}


def test_names_of_a_batch_are_mapped_before_its_documents_are_written() -> None:
    world = World()
    names = mapped_fields.staged({"pump": {"rpm": NUMERIC}})
    world.put({"events": lines("a"), mapped_fields.stage_field("events"): names})

    world.run()

    assert world.documents.templates["hort-all-events"]["_meta"]["fields"] == {"pump": {"rpm": NUMERIC}}


def test_batch_that_another_sink_may_be_writing_waits_for_it() -> None:
    """It was given up after 20 s and sent again while Elasticsearch still worked on it, 46 times."""
    world = World()
    world.put({"events": lines("a")})
    world.journal.take(REFERENCE, due_ms=0)
    world.journal.take(REFERENCE, due_ms=0)
    world.documents.at_work = {REFERENCE.batch_id}

    with pytest.raises(SinkUnavailable, match="under way"):
        world.run()
    assert world.documents.requests == []

    world.documents.at_work.clear()
    assert world.run()["stored"] == {"all-events": 1}


def test_store_that_is_away_keeps_the_batch_and_waits_longer_each_time() -> None:
    world = World()
    world.put({"events": lines("a")})
    waits = []

    for _ in range(7):
        world.documents.failures = [StoreBusy("ConnectionError")] * 9
        with pytest.raises(SinkUnavailable):
            world.run()
        world.clock.now = due = _due(world)
        waits.append(due)

    steps = [later - earlier for earlier, later in pairwise(waits)]
    assert steps == [4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
    assert world.journal.size(REFERENCE.journal) == 1
    world.documents.failures = []
    assert world.run()["stored"] == {"all-events": 1}


def _due(world: World) -> int:
    """When the batch is fired again."""
    now = world.clock()
    steps = range(now, now + 100_000, 1_000)
    return next(moment for moment in steps if world.journal.due(REFERENCE.journal, now=moment, limit=1))


def test_templates_that_cannot_be_put_keep_the_batch() -> None:
    world = World()
    world.put({"events": lines("a")})
    world.documents.put_template = _busy  # type: ignore[method-assign]

    with pytest.raises(SinkUnavailable, match="templates"):
        world.run()
    assert world.documents.indices == {}


def _busy(name: str, body: Mapping[str, Any]) -> None:
    raise StoreBusy(f"HTTP 503 for {name}, {len(body)} keys")


def _lost(_: Reference) -> bool:
    return False


def test_same_batch_three_times_is_stored_and_counted_once() -> None:
    world = World()
    for _ in range(3):
        world.put({"events": lines("a", "b")})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.journal, "ack", _lost)
            world.run()

    world.run()

    assert world.ids() == {"all-events": ["a", "b"]}
    assert world.counters.all()["sink.all-events"] == 2


# -- what close wrote ------------------------------------------------------------------------------------------------


def drained(world: World, *, time_s: float, takes_s: float = 0.0) -> dict[str, Any]:
    def writer(time_s: float) -> BulkWriter:
        world.clock.advance(int(takes_s * 1000))
        return BulkWriter(world.documents, time_s=time_s)

    sink = Sink(world.journal, world.documents, world.counters, world.prefix, world.clock)
    return sink.drain(_closed(0), time_s=time_s, writer=writer)


def _closed(number: int) -> Reference:
    return Reference(f"close-0-{number}", "hort:{0}:journal:close")


def _close(world: World, *, batches: int) -> None:
    for number in range(batches):
        world.journal.put(_closed(number), b"", trigger="close", count=1, now=world.clock())
        world.journal.write_stage(_closed(number), {"analytics": lines(f"w{number}")})


def test_batches_of_one_close_are_stored_by_one_sink() -> None:
    world = World()
    _close(world, batches=5)

    assert drained(world, time_s=45) == {
        **_closed(0).as_result(),
        "stored": {"analytics": 5},
        "batches": 5,
    }
    assert world.journal.size(_closed(0).journal) == 0
    assert world.counters.all()["sink.analytics"] == 5


def test_batches_for_which_there_is_no_time_wait_for_the_next_sink() -> None:
    world = World()
    _close(world, batches=5)

    assert drained(world, time_s=45, takes_s=20)["batches"] == 2
    assert world.journal.size(_closed(0).journal) == 3


def test_batch_that_another_sink_has_taken_is_left_to_it() -> None:
    world = World()
    _close(world, batches=3)
    world.journal.take(_closed(1), due_ms=world.clock() + 60_000)

    assert drained(world, time_s=45)["stored"] == {"analytics": 2}
    assert world.journal.size(_closed(0).journal) == 1
