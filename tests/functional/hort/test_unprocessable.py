"""Batches with which an action never gets through, over the in-memory twins."""

import msgpack
import pytest
import redis

from hort import batch, ingest, unprocessable
from hort.batch import Messages, Reference
from hort.errors import BatchError
from hort.testing import MemoryJournal
from tests.functional.hort.test_ingest import FIELDS, JOURNAL, World
from tests.support.ingest import ARRIVAL, buried, documents, messages

LIMIT = 3
OTHER = Reference("aaaa-0-9", JOURNAL)


class Killed(BaseException):
    """What a limit does to an action: no handler sees it."""


def world() -> World:
    return World(params={"max_attempts": LIMIT})


def put_raw(journal: MemoryJournal, raw: bytes) -> Reference:
    reference = Reference("aaaa-0-1", JOURNAL)
    journal.put(reference, raw, trigger="/_/t", count=1, now=ARRIVAL)
    return reference


def letters(here: World, reference: Reference) -> list[dict[str, object]]:
    return documents((here.journal.read_stage(reference, FIELDS) or {}).get("dead", b""))


def pass_another(journal: MemoryJournal) -> None:
    journal.put(OTHER, b"raw", trigger="/_/t", count=1, now=ARRIVAL)
    journal.ack(OTHER)


def test_unreadable_batch_becomes_one_dead_letter_after_the_tries() -> None:
    here = world()
    raw = b"\xc1 no batch " + b"x" * 300_000
    reference = put_raw(here.journal, raw)
    for _ in range(LIMIT):
        with pytest.raises(BatchError):
            here.ingest.run(reference, None)
    assert here.ingest.run(reference, None) == {**reference.as_result(), "records": 0, "dead": 1}
    (letter,) = letters(here, reference)
    assert (letter["reason"], letter["stage"], letter["payload_bytes"]) == ("unprocessable", "ingest", len(raw))
    assert buried(letter) == raw[:262_144]
    assert set(here.journal.read_stage(reference, FIELDS) or {}) == set(FIELDS), "the actions that follow find all they want"
    assert here.counters.all() == {"ingest.messages": 1, "dead.ingest.unprocessable": 1, "ingest.payloads-cut": 1}


def test_message_that_kills_ingest_becomes_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    here = world()
    reference = here.put(messages({"n": 1}))
    monkeypatch.setattr(ingest, "decode", lambda *_, **__: (_ for _ in ()).throw(Killed))
    for _ in range(LIMIT):
        with pytest.raises(Killed):
            here.ingest.run(reference, None)
    here.ingest.run(reference, None)
    (letter,) = letters(here, reference)
    assert (letter["_id"], buried(letter)) == ("aaaa-0-1.0-ingest", b'{"n": 1}')
    assert here.ingest.run(reference, None)["dead"] == 1


def test_batch_that_kills_even_its_burial_is_buried_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    here = world()
    reference = here.put(messages({"n": 1}, {"n": 2}))
    monkeypatch.setattr(batch, "unpack", lambda _raw: (_ for _ in ()).throw(Killed))
    for _ in range(LIMIT + unprocessable.WHOLE_TRIES):
        with pytest.raises(Killed):
            here.ingest.run(reference, None)
    here.ingest.run(reference, None)
    assert len(letters(here, reference)) == 1


def test_columns_that_do_not_fit_are_buried_too() -> None:
    here = world()
    value = msgpack.unpackb(batch.pack(messages({"n": 1})))
    reference = put_raw(here.journal, msgpack.packb({**value, "topics": []}))
    for _ in range(LIMIT):
        with pytest.raises(IndexError):
            here.ingest.run(reference, None)
    here.ingest.run(reference, None)
    assert len(letters(here, reference)) == 1


def test_redis_being_away_is_held_against_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    here = world()
    reference = here.put(messages({"n": 1}))
    with monkeypatch.context() as patch:
        patch.setattr(here.journal, "write_stage", lambda *_: (_ for _ in ()).throw(redis.ConnectionError("away")))
        for _ in range(5 * LIMIT):
            with pytest.raises(redis.ConnectionError):
                here.ingest.run(reference, None)
    assert here.ingest.run(reference, None)["records"] == 1


def test_a_store_that_is_away_for_hours_buries_nothing() -> None:
    here = world()
    reference = here.put(messages({"n": 1}))
    here.ingest.run(reference, None)
    here.journal.write_stage(reference, {"late": b"", "results": b"", "sink_failures": b"99"})
    for _ in range(10 * LIMIT):
        pass_another(here.journal)
        assert here.ingest.run(reference, None)["records"] == 1
    assert letters(here, reference) == []


def test_what_stops_every_batch_is_held_against_none() -> None:
    here = world()
    reference = here.put(messages({"n": 1}))
    for _ in range(10 * LIMIT):
        here.ingest.run(reference, None)
    assert letters(here, reference) == []
    assert "late" not in (here.journal.read_stage(reference, ["late"]) or {})


@pytest.mark.parametrize(("step", "field"), [("window", "late"), ("score", "results")])
def test_an_action_that_never_gets_through_with_one_batch_is_left_out(step: str, field: str) -> None:
    here = world()
    reference = here.put(messages({"n": 1}, b"nope"))
    here.ingest.run(reference, None)
    if step == "score":
        here.journal.write_stage(reference, {"late": b"\0\0\0\0"})
    for _ in range(LIMIT + 1):
        assert field not in (here.journal.read_stage(reference, [field]) or {})
        pass_another(here.journal)
        here.ingest.run(reference, None)
    stage = here.journal.read_stage(reference, [*FIELDS, field]) or {}
    assert stage[field] == b""
    assert len(documents(stage["events"])) == 1, "its records are stored all the same"
    assert [(row["stage"], row["reason"]) for row in documents(stage["dead"])] == [("ingest", "not-json"), (step, "unprocessable")]
    assert here.counters.all()[f"{step}.skipped"] == 1


@pytest.mark.parametrize(("step", "field"), [("window", "late"), ("score", "results")])
def test_an_action_that_gets_through_with_its_last_try_is_not_left_out(
    step: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its activation was given up, yet runs on, and ends between the look at the stage and the writing."""
    here = world()
    reference = here.put(messages({"n": 1}))
    here.ingest.run(reference, None)
    before = {"late": b""} if step == "score" else {}
    here.journal.write_stage(reference, before)
    created = here.journal.created

    def created_after_the_action_got_through(reference: Reference) -> int | None:
        here.journal.write_stage(reference, {field: b"\0\0\0\0"})
        return created(reference)

    monkeypatch.setattr(here.journal, "created", created_after_the_action_got_through)
    for _ in range(LIMIT + 1):
        pass_another(here.journal)
        here.ingest.run(reference, None)
    assert here.journal.read_stage(reference, [field, "dead"]) == {field: b"\0\0\0\0", "dead": b""}
    assert f"{step}.skipped" not in here.counters.all()


def test_inline_messages_that_cannot_be_read_are_taken_from_the_journal() -> None:
    here = world()
    made = here.put(messages({"n": 1}))
    reference, content = ingest.inline({**made.as_result(), "messages": [{"payload": ""}]}, here.journal, now=ARRIVAL)
    assert content is None
    assert here.ingest.run(reference, content)["records"] == 1


def test_inline_messages_are_bounded_likewise(monkeypatch: pytest.MonkeyPatch) -> None:
    here = world()
    content: Messages = messages({"n": 1})
    reference = here.put(content)
    monkeypatch.setattr(ingest, "decode", lambda *_, **__: (_ for _ in ()).throw(Killed))
    for _ in range(LIMIT):
        with pytest.raises(Killed):
            here.ingest.run(reference, content)
    assert here.ingest.run(reference, content)["dead"] == 1
