"""Ingest over the in-memory twins."""

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from hort import batch
from hort.batch import Messages, Reference
from hort.counters import MemoryCounters
from hort.documents import MAX_DEAD_PAYLOAD
from hort.errors import BatchError
from hort.ingest import Ingest, inline
from hort.ingest_options import from_params
from hort.testing import FakeClock, MemoryJournal, MemoryRepeats, MemorySchemas
from tests.support.ingest import ARRIVAL, TOPIC, documents, messages, numbers

JOURNAL = "hort:{0}:journal:aaaa"
FIELDS = ("events", "keys", "key_index", "ts", "cols", "dead", "count")


@dataclass
class World:
    params: dict[str, Any] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=lambda: FakeClock(ARRIVAL))
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    schemas: MemorySchemas = field(default_factory=MemorySchemas)
    counters: MemoryCounters = field(default_factory=MemoryCounters)

    def __post_init__(self) -> None:
        self.repeats = MemoryRepeats(self.clock)

    @property
    def ingest(self) -> Ingest:
        return Ingest(self.journal, self.schemas, self.repeats, self.counters, from_params(self.params))

    def put(self, content: Messages, name: str = "aaaa-0-1") -> Reference:
        reference = Reference(name, JOURNAL)
        self.journal.put(reference, batch.pack(content), trigger="/_/t", count=len(content), now=self.clock())
        return reference

    def run(self, *contents: Any, name: str = "aaaa-0-1") -> dict[str, bytes]:
        """The stage after a batch of these messages."""
        reference = self.put(messages(*contents), name)
        self.ingest.run(reference, None)
        return self.journal.read_stage(reference, FIELDS) or {}


def test_batch_of_the_journal_is_staged() -> None:
    world = World()
    reference = world.put(messages({"n": 1}, b"nope"))

    result = world.ingest.run(reference, None)

    assert result == {"batch_id": "aaaa-0-1", "journal": JOURNAL, "records": 1, "dead": 1}
    stage = world.journal.read_stage(reference, FIELDS) or {}
    assert set(stage) == set(FIELDS)
    assert numbers(stage) == {0: {"n": 1}}
    assert world.counters.all() == {
        "ingest.messages": 2,
        "ingest.records": 1,
        "dead.ingest.not-json": 1,
    }


def test_a_dead_letter_that_holds_a_part_of_its_payload_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    reference = world.put(messages(b"no" * MAX_DEAD_PAYLOAD, b',"payload_truncated":true'))

    world.ingest.run(reference, None)

    assert world.counters.all()["ingest.payloads-cut"] == 1
    assert world.counters.all()["dead.ingest.not-json"] == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert (orjson.loads(line)["batch_id"], orjson.loads(line)["dead.ingest.not-json"]) == (reference.batch_id, 2)


def test_fields_for_which_a_full_schema_has_no_room_are_counted() -> None:
    world = World({"max_schema_fields": 2})
    world.ingest.run(world.put(messages({"a": 1, "b": 2, "c": 3, "d": None}, {"a": 1, "b": 2, "c": 4})), None)
    assert world.counters.all()["ingest.fields-over"] == 1
    given = World({"schema": {"bike": {"a": "Numeric"}}, "max_schema_fields": 2})
    given.ingest.run(given.put(messages({"a": 1, "b": 2, "c": 3})), None)
    assert "ingest.fields-over" not in given.counters.all(), "a given schema leaves them out on purpose"


def test_batch_delivered_three_times_is_decoded_and_counted_once() -> None:
    world = World()
    reference = world.put(messages({"n": 1}))
    first = world.ingest.run(reference, None)
    before = world.journal.read_stage(reference, FIELDS)

    assert [world.ingest.run(reference, None) for _ in range(2)] == [first, first]

    assert world.journal.read_stage(reference, FIELDS) == before
    assert world.counters.all()["ingest.records"] == 1


def test_two_deliveries_at_once_do_not_lose_the_dead_letters_that_score_added() -> None:
    """The slower ingest wrote its own dead letters over those of the ingest, window and score that overtook it."""
    world = World()
    reference = world.put(messages({"n": 1}, b"nope"))
    first, decode = world.ingest, Ingest._decode

    def decode_while_overtaken(ingest: Ingest, *args: Any, bounded: bool) -> Any:
        decoded = decode(ingest, *args, bounded=bounded)
        monkeypatch.setattr(Ingest, "_decode", decode)
        world.ingest.run(reference, None)
        dead = (world.journal.read_stage(reference, ["dead"]) or {})["dead"]
        world.journal.write_stage(reference, {"dead": dead + b"score's"})
        return decoded

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(Ingest, "_decode", decode_while_overtaken)
        answer = first.run(reference, None)

    assert answer == {"batch_id": "aaaa-0-1", "journal": JOURNAL, "records": 1, "dead": 1}
    assert (world.journal.read_stage(reference, ["dead"]) or {})["dead"].endswith(b"score's")
    assert world.counters.all()["ingest.records"] == 1


def drained(world: World) -> list[dict[str, bytes]]:
    """The stages of all parts of what is in the journal, each acknowledged."""
    stages = []
    while waiting := world.journal.due(JOURNAL, now=ARRIVAL * 2, limit=100):
        for entry in waiting:
            if not world.ingest.run(entry.reference, None).get("acked"):
                stages.append(world.journal.read_stage(entry.reference, FIELDS) or {})
                world.journal.ack(entry.reference)
    return stages


@pytest.mark.parametrize("bad", [b"nope", b"x" * 900])
def test_a_batch_that_becomes_too_large_is_cut_and_nothing_of_it_is_lost(monkeypatch: pytest.MonkeyPatch, bad: bytes) -> None:
    monkeypatch.setattr("hort.decoding.STAGED_BYTES", 6_000)
    world = World()
    world.put(messages(*({"n": number} for number in range(40)), bad), f"aaaa-0-{ARRIVAL:012x}00000000")
    stages = drained(world)

    assert len(stages) > 4
    found = [row for stage in stages for row in documents(stage["events"])]
    assert {row["record_id"]: row["data"]["n"] for row in found} == {f"aaaa-0-{ARRIVAL:012x}00000000.{number}": number for number in range(40)}
    assert len(found) == 40
    assert [row["reason"] for stage in stages for row in documents(stage["dead"])] == ["not-json"]


def test_arrays_that_are_too_many_records_together_are_cut_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hort.payload.MAX_ARRAY_RECORDS", 10)
    world = World({"max_records_per_message": 9})
    world.put(messages(*([{"n": 1}] * 8 for _ in range(5))), f"aaaa-0-{ARRIVAL:012x}00000000")
    stages = drained(world)

    assert sum(int(stage["count"]) for stage in stages) == 40
    assert not any(stage["dead"] for stage in stages)


def test_a_single_message_is_never_too_large_to_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hort.decoding.STAGED_BYTES", 10)
    world = World()
    assert int(world.run([{"n": 1}, {"n": 2}])["count"]) == 2


def test_messages_that_came_without_a_journal_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hort.decoding.STAGED_BYTES", 10)
    world = World()
    content = messages({"n": 1}, {"n": 2})
    reference = batch.direct_reference(batch.pack(content))
    world.journal.put_direct(reference, batch.pack(content), count=2, now=ARRIVAL)

    assert world.ingest.run(reference, content)["records"] == 2


def test_batch_that_is_stored_already_is_left_alone() -> None:
    world = World()
    reference = world.put(messages({"n": 1}))
    world.journal.ack(reference)

    assert world.ingest.run(reference, None) == {"batch_id": "aaaa-0-1", "journal": JOURNAL, "acked": True}
    assert world.ingest.run(reference, messages({"n": 1}))["acked"] is True


def test_first_kind_of_a_field_holds_over_batches() -> None:
    world = World()
    world.run({"n": 1})

    stage = world.run({"n": "abc"}, {"n": "5"}, name="aaaa-0-2")

    assert numbers(stage) == {1: {"n": 5}}
    assert [row["data"] for row in documents(stage["events"])] == [{"n": "abc"}, {"n": 5}]
    assert world.counters.all()["ingest.mismatch"] == 1


def test_full_schema_stores_new_fields_uncounted() -> None:
    world = World(schemas=MemorySchemas(max_fields=1), params={"max_schema_fields": 1})
    world.run({"a": 1})

    stage = world.run({"a": 2, "b": 3}, name="aaaa-0-2")

    assert numbers(stage) == {0: {"a": 2}}
    assert documents(stage["events"])[0]["data"] == {"a": 2, "b": 3}


def test_repeats_over_batches_are_dropped_and_counted_until_they_are_forgotten() -> None:
    world = World(params={"id_field": "n", "dedupe_s": 10})
    world.run({"n": 1}, {"n": 2})

    assert [
        row["data"]["n"] for row in documents(world.run({"n": 2}, {"n": 3}, name="aaaa-0-2")["events"])
    ] == [3]
    assert world.counters.all()["ingest.repeats"] == 1
    world.clock.advance(11_000)
    assert len(documents(world.run({"n": 1}, name="aaaa-0-3")["events"])) == 1


def test_batch_that_was_lost_before_it_was_staged_is_not_its_own_repeat() -> None:
    world = World(params={"id_field": "n"})
    reference = world.put(messages({"n": 1}))
    write, world.journal.write_stage = world.journal.write_stage, lambda *_: False  # type: ignore[method-assign]
    world.ingest.run(reference, None)
    world.journal.write_stage = write  # type: ignore[method-assign]

    assert world.ingest.run(reference, None)["records"] == 1


# -- inline ----------------------------------------------------------------------------------------------------------


def test_messages_without_a_reference_are_kept_under_a_name_made_of_them() -> None:
    world = World()
    args = {"messages": [{"topic": TOPIC, "payload": '{"n": 1}', "received_at": ARRIVAL}]}

    reference, content = inline(args, world.journal, now=ARRIVAL)
    again, _ = inline(args, world.journal, now=ARRIVAL + 9)

    assert reference == again
    assert world.ingest.run(reference, content)["records"] == 1
    assert world.journal.due(reference.journal, now=2**60, limit=9) == []


def test_inline_batch_whose_fire_was_its_acknowledgement_is_not_taken_for_stored() -> None:
    world = World()
    args = {"batch_id": "0123456789abcdef-0-1", "messages": [{"topic": TOPIC, "payload": '{"n": 1}', "received_at": ARRIVAL}]}

    reference, content = inline(args, world.journal, now=ARRIVAL)

    assert world.ingest.run(reference, content)["records"] == 1


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "events").glob("ingest-*.json")), ids=lambda p: p.stem
)
def test_recorded_events(path: Path) -> None:
    event = json.loads(path.read_text())
    world = World()
    args = event["args"]
    if "batch_id" in args:
        world.put(messages({"n": 1}), args["batch_id"])

    reference, content = inline(args, world.journal, now=ARRIVAL)
    result = world.ingest.run(reference, content)

    assert {name: result[name] for name in event["expect"]} == event["expect"]
    stage = world.journal.read_stage(reference, FIELDS) or {}
    assert [row["data"] for row in documents(stage["events"])] == event["data"]
    assert [row["reason"] for row in documents(stage["dead"])] == event["reasons"]


def test_message_that_is_none_is_named() -> None:
    with pytest.raises(BatchError, match=r"messages\[1\].topic"):
        inline({"messages": [{"topic": "a", "payload": ""}, {"payload": ""}]}, MemoryJournal(), now=ARRIVAL)


def test_neither_messages_nor_reference() -> None:
    with pytest.raises(BatchError, match="must be given"):
        inline({}, MemoryJournal(), now=ARRIVAL)


def test_topic_that_is_no_unicode_does_not_stop_the_batch() -> None:
    world = World()
    args = {
        "messages": [
            {
                "topic": TOPIC.replace("7", "\ud800"),
                "payload": base64.b64encode(b'{"n":1}').decode(),
                "encoding": "base64",
            }
        ]
    }

    reference, content = inline(args, world.journal, now=ARRIVAL)

    assert world.ingest.run(reference, content)["records"] == 1
