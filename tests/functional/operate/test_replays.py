"""Replays of each stage's dead letters through the sequence, over the in-memory twins."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from hort import batch, clock, documents, ingest, models, unprocessable
from hort.batch import Messages
from hort.decoded import Decoded
from hort.decoding import decode
from hort.isolation import FAILED
from operate.replaying import Outcome
from tests.support.replays import FEED, Suite

OTHER_TOPIC = "plant/pump/7"


class Killed(BaseException):
    """What a limit does to an action: no handler sees it."""


@pytest.fixture
def suite() -> Iterator[Suite]:
    suite = Suite()
    yield suite
    suite.scorer.close()


def model(name: str = "m", **fields: Any) -> models.Model:
    return models.parse(name, {"url": f"http://model.example/{name}", "on_error": "dead-letter", **fields})


def test_a_message_is_stored_under_its_first_id_once_its_topic_is_understood(suite: Suite) -> None:
    reference = suite.receive(b'{"n": 1}', topic=OTHER_TOPIC)
    assert [letter.reason for letter in suite.letters().values()] == ["topic-mismatch"]
    received = suite.windows.clock()
    suite.params = {"topic_pattern": "plant/{device_type}/{device_id}"}
    suite.windows.clock.advance(1_000)

    outcome = suite.replay()

    assert outcome.clean
    assert len(outcome.replayed) == 1
    ((name, document),) = suite.stored().items()
    assert name == document["record_id"] == f"{reference.batch_id}.0"
    assert document["received_at"] == document["@timestamp"] == clock.iso(received)
    assert not suite.letters()
    assert suite.counted() == 1


def test_the_second_replay_changes_nothing(suite: Suite) -> None:
    suite.receive(b'{"n": 1}', topic=OTHER_TOPIC)
    suite.params = {"topic_pattern": "plant/{device_type}/{device_id}"}
    ids = list(suite.letters())
    suite.replay(ids)
    before = dict(suite.stored())

    outcome = suite.replay(ids)

    assert (outcome.replayed, outcome.gone) == ([], ids)
    assert suite.stored() == before
    assert suite.counted() == 1


def test_what_fails_again_is_there_again_under_its_id(suite: Suite) -> None:
    suite.receive(b"nope", b"neither")
    ids = list(suite.letters())

    outcome = suite.replay()

    assert set(outcome.again) == set(ids) == set(suite.letters())
    assert not outcome.replayed
    assert not suite.stored()


def test_a_letter_under_way_is_not_replayed_a_second_time(suite: Suite) -> None:
    suite.receive(b'{"n": 1}', topic=OTHER_TOPIC)
    suite.params = {"topic_pattern": "plant/{device_type}/{device_id}"}
    ids = list(suite.letters())
    suite.running = False
    first = suite.replay(ids)
    assert len(first.waiting) == 1
    assert list(suite.letters()) == ids, "it is lost in no case"

    second = suite.replay(ids)

    assert (second.under_way, second.waiting) == (ids, [])
    suite.running = True
    suite.replayer()
    suite._fire(0)
    assert not suite.letters()
    assert suite.counted() == 1


def test_letters_of_a_batch_that_is_not_acknowledged_are_left_alone(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would write them once more when it is delivered again, and a second replay would count its record twice."""
    with monkeypatch.context() as patched:
        patched.setattr(suite.journal, "ack", lambda _: False)
        reference = suite.receive(b'{"n": 1}', topic=OTHER_TOPIC)
    suite.running = False
    ids = list(suite.letters())

    first = suite.replay()

    assert (first.under_way, first.waiting) == (ids, [])
    suite.journal.ack(reference)
    assert len(suite.replay().waiting) == 1


def test_a_replay_that_is_delivered_twice_counts_once(suite: Suite) -> None:
    """Killed after the windows, before the answer."""
    suite.receive(b'{"n": 1}', topic=OTHER_TOPIC)
    suite.params = {"topic_pattern": "plant/{device_type}/{device_id}"}
    suite.running = False
    (batch_id,) = suite.replay().waiting
    reference = batch.Reference(batch_id, f"hort:{{0}}:journal:{FEED.id}")
    suite.ingest().run(reference, None)
    suite.windows.window(reference)

    suite.run(reference)

    assert suite.counted() == 1
    assert not suite.letters()


def test_records_of_an_array_keep_their_places(suite: Suite) -> None:
    reference = suite.receive(b'[{"n": 1}, 7, {"n": 3}, {"x": {"y": 1}}]')
    (letter,) = suite.letters().values()
    assert letter.items == (1,)

    outcome = suite.replay()

    assert outcome.replayed == [letter.id]
    assert list(suite.letters()) == [f"{reference.batch_id}.0.1-ingest"], "the bad one alone, by its own place"
    assert sorted(suite.stored()) == [f"{reference.batch_id}.0.{place}" for place in (0, 2, 3)]
    again = suite.replay()
    assert list(again.again) == list(suite.letters()) == [f"{reference.batch_id}.0.1-ingest"]


def test_a_record_that_cannot_be_read_loses_nothing_by_its_replay(suite: Suite) -> None:
    """One name twice: read by an indulgent parser it would be stored with one of its two values."""
    reference = suite.receive(b'[{"n": 1}, {"n": 2, "n": 3}, {"n": 4}]')
    assert [(letter.items, letter.payload) for letter in suite.letters().values()] == [((1,), b'[{"n": 2, "n": 3}]')]

    suite.replay()

    (letter,) = suite.letters().values()
    assert (letter.id, letter.payload) == (f"{reference.batch_id}.0.1-ingest", b'{"n": 2, "n": 3}')
    assert sorted(suite.stored()) == [f"{reference.batch_id}.0.{place}" for place in (0, 2)]


def test_devices_that_number_their_messages(suite: Suite) -> None:
    suite.params = {"id_field": "seq", "device_id_field": "dev"}
    suite.receive(b'{"seq": 1, "n": 1}')
    (letter,) = suite.letters().values()
    assert letter.reason == "missing-field"
    suite.params = {"id_field": "seq"}

    assert suite.replay().replayed == [letter.id]
    suite.receive(b'{"seq": 1, "n": 1}')

    assert len(suite.stored()) == 1


def test_a_model_is_asked_again_alone(suite: Suite) -> None:
    suite.active = [model("bad"), model("good", on_error="ignore")]
    suite.models.status = 500
    reference = suite.receive(b'{"n": 1, "deep": {"x": 2}, "text": "a"}')
    name = f"{reference.batch_id}.0"
    (letter,) = suite.letters().values()
    assert (letter.stage, letter.message_id) == ("score", f"{name}/bad")
    event, asked = dict(suite.stored()[name]), len(suite.models.asked)
    suite.models.status = 200

    assert suite.replay().replayed == [letter.id]

    assert suite.models.asked[asked:] == [f"bad {name}"]
    found = suite.stored("model-results")
    assert {key: row["status"] for key, row in found.items()} == {f"{name}/bad": "ok", f"{name}/good": "error"}
    assert suite.stored()[name] == event, "the record is as it was"
    assert suite.counted() == 1


def test_a_letter_whose_model_is_gone_stays(suite: Suite) -> None:
    suite.active = [model("bad")]
    suite.models.status = 500
    suite.receive(b'{"n": 1}')
    suite.active = []

    outcome = suite.replay()

    assert list(outcome.again) == list(suite.letters())
    assert len(suite.letters()) == 1


def test_a_document_that_elasticsearch_refused(suite: Suite) -> None:
    suite.documents.refuse = lambda index, _: (400, "document_parsing_exception") if index == "all-events" else None
    suite.active = [model()]
    reference = suite.receive(b'{"n": 1}')
    (letter,) = suite.letters().values()
    assert (letter.stage, letter.reason) == ("sink", "document_parsing_exception")
    suite.documents.refuse = lambda *_: None

    assert suite.replay().replayed == [letter.id]

    assert list(suite.stored()) == [f"{reference.batch_id}.0"]
    assert len(suite.models.asked) == 1
    assert suite.counted() == 1
    assert not suite.letters()


def test_an_old_revision_of_a_window_does_not_replace_a_newer_one(suite: Suite) -> None:
    refused = documents.bulk_line("w", {"revision": 1, "count": 2, "@timestamp": "2026-01-31T12:00:00.000Z"}, version=1)
    suite.documents.refuse = lambda index, _: (400, "document_parsing_exception") if index == "analytics" else None
    reference = suite.put(Messages.of([]))
    suite.journal.write_stage(reference, {"ingested": b"{}", "late": b"", "results": b"", "analytics": refused})
    suite.run(reference)
    assert len(suite.letters()) == 1
    suite.documents.refuse = lambda *_: None
    suite.documents.bulk("analytics", documents.bulk_line("w", {"revision": 2, "count": 3}, version=2), timeout_s=1)

    assert len(suite.replay().replayed) == 1

    assert suite.stored("analytics")["w"]["count"] == 3


def test_a_batch_that_ingest_never_got_through_with(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.params = {"max_attempts": 1}
    reference = suite.put(_messages(b'{"n": 1}', b'{"n": 2}'))
    _bury(suite, reference, monkeypatch, whole=False)
    assert len(suite.letters()) == 2

    assert len(suite.replay().replayed) == 2

    assert sorted(suite.stored()) == [f"{reference.batch_id}.0", f"{reference.batch_id}.1"]
    assert suite.counted() == 2


def test_a_batch_that_was_buried_in_one_piece(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = suite.put(_messages(b'{"n": 1}', b'{"n": 2}'))
    _bury(suite, reference, monkeypatch, whole=True)
    assert len(suite.letters()) == 1

    assert len(suite.replay().replayed) == 1

    assert sorted(suite.stored()) == [f"{reference.batch_id}.0", f"{reference.batch_id}.1"]
    assert not suite.letters()


def test_a_part_that_was_buried_in_one_piece(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its records have the names that they had in the batch which it is a part of."""
    whole = _messages(b'{"n": 0}', b'{"n": 1}', b'{"n": 2}', b'{"n": 3}')
    reference = suite.put(whole.only([2, 3], batch_id="first"))
    _bury(suite, reference, monkeypatch, whole=True)

    assert len(suite.replay().replayed) == 1

    assert sorted(suite.stored()) == ["first.2", "first.3"]


def test_a_replay_that_is_buried_leaves_its_letters(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.receive(b'{"n": 1}', topic=OTHER_TOPIC)
    ids = list(suite.letters())
    suite.running = False
    (batch_id,) = suite.replay().waiting
    _bury(suite, batch.Reference(batch_id, f"hort:{{0}}:journal:{FEED.id}"), monkeypatch, whole=True)

    assert list(suite.letters()) == ids


@pytest.mark.parametrize("step", ["window", "score"])
def test_a_step_that_a_batch_was_stored_without(suite: Suite, step: str) -> None:
    suite.active = [model()]
    reference = suite.put(_messages(b'{"n": 1}', b'{"n": 2.5, "deep": {"x": 1}}'))
    suite.ingest().run(reference, None)
    if step == "score":
        suite.windows.window(reference)
    for _ in range(3):
        unprocessable.skip_step(reference, suite.journal, suite.windows.counters, step, limit=1)
        suite.journal.ack(suite.put(_messages()))
    suite.run(reference)
    (letter,) = suite.letters().values()
    assert letter.stage == step
    events = {name: dict(row) for name, row in suite.stored().items()}
    asked = list(suite.models.asked)

    assert suite.replay().replayed == [letter.id]

    assert suite.stored() == events
    names = [f"m {reference.batch_id}.{place}" for place in (0, 1)]
    assert (asked, suite.models.asked) == ((names, names) if step == "window" else ([], names))
    assert suite.counted() == 2


@pytest.mark.parametrize("deadly", [{3}, {0, 17, 39}, set(range(40))])
def test_letters_over_which_ingest_dies_stay_and_their_neighbours_are_replayed(
    suite: Suite, deadly: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them stayed: such a batch is not cut."""
    reference = suite.receive(*(b'{"n": %d}' % number for number in range(40)), topic=OTHER_TOPIC)
    suite.params = {"topic_pattern": "plant/{device_type}/{device_id}"}
    ids = {number: f"{reference.batch_id}.{number}-ingest" for number in range(40)}
    assert set(suite.letters()) == set(ids.values())
    deaths = 0

    def dies(messages: Messages, *arguments: Any, **options: Any) -> Decoded:
        if any(b'{"n": %d}' % number in messages.payloads for number in deadly):
            raise Killed
        return decode(messages, *arguments, **options)

    def fire(_: float) -> None:
        nonlocal deaths
        try:
            suite._fire(0)
        except Killed:
            deaths += 1

    monkeypatch.setattr(ingest, "decode", dies)
    outcome = Outcome()
    suite.replayer(fire).replay(list(ids.values()), outcome, timeout_s=100)

    assert {*outcome.again} == set(suite.letters()) == {ids[number] for number in deadly}
    assert {letter.reason for letter in suite.letters().values()} == {"unprocessable"}
    assert {*suite.stored()} == {f"{reference.batch_id}.{number}" for number in range(40) if number not in deadly}
    assert not outcome.waiting
    assert deaths <= 1 + 2 * len(deadly)


def test_a_letter_that_was_buried_in_another_is_replayed_out_of_it(suite: Suite) -> None:
    """The sink died over the letter itself; first that one is stored, then what it holds."""

    def dies(index: str, document: dict[str, Any]) -> None:
        if index == "dead-letters" and document["reason"] == "topic-mismatch":
            raise Killed

    suite.documents.refuse = dies
    reference = suite.put(Messages.of([batch.Message(OTHER_TOPIC, b'{"n": 1}', suite.windows.clock())]))
    while suite.journal.size(reference.journal):
        with contextlib.suppress(Killed):
            suite.run(reference)
        suite.journal.count_try(reference, FAILED)
        suite.receive()
    inner, outer = f"{reference.batch_id}.0-ingest", f"dead-letters/{reference.batch_id}.0-ingest-sink"
    assert list(suite.letters()) == [outer]
    suite.documents.refuse = lambda *_: None

    assert suite.replay().replayed == [outer]
    assert list(suite.letters()) == [inner]
    suite.params = {"topic_pattern": "plant/{device_type}/{device_id}"}
    assert suite.replay().replayed == [inner]

    assert list(suite.stored()) == [f"{reference.batch_id}.0"]
    assert not suite.letters()
    assert suite.counted() == 1


def test_what_cannot_be_replayed_says_why(suite: Suite) -> None:
    suite.receive(b"x" * 300_000)
    (name,) = suite.letters()

    assert suite.replay().refused == {name: "only the first 262144 of its 300000 bytes were kept"}
    assert list(suite.letters()) == [name]


def test_letters_of_a_feed_that_is_gone_want_a_trigger(suite: Suite) -> None:
    suite.receive(b'{"n": 1}', topic=OTHER_TOPIC)
    (name,) = suite.letters()
    suite.params = {"topic_pattern": "plant/{device_type}/{device_id}"}
    other = replace(FEED, id="fedcba9876543210", trigger="/guest/other")
    suite.feeds = [other, replace(other, id="0" * 16, trigger="/guest/third")]

    assert "--trigger" in suite.replay().refused[name]

    started = replace(FEED, ack="started")
    suite.feeds = [started]
    assert "there are: none" in suite.replay().refused[name]


def _messages(*contents: bytes) -> Messages:
    topic = "iot-2/type/bike/id/7/evt/status/fmt/json"
    return Messages.of([batch.Message(topic, content, Suite().windows.clock()) for content in contents])


def _bury(suite: Suite, reference: batch.Reference, monkeypatch: pytest.MonkeyPatch, *, whole: bool) -> None:
    raw = suite.journal.load(reference) or b""
    if whole:
        with monkeypatch.context() as patched:
            patched.setattr(batch, "unpack", lambda _: (_ for _ in ()).throw(ValueError("too much")))
            decoded: Decoded = unprocessable.buried(reference, raw, tries=9, at_ms=1, whole=True)
    else:
        decoded = unprocessable.buried(reference, raw, tries=9, at_ms=1, whole=True)
    fields = {**decoded.stage_fields(), "ingested": orjson.dumps({})}
    suite.journal.write_stage(reference, fields)
    suite.run(reference)
