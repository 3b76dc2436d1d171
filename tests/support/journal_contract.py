"""What a journal must do, on Redis and in memory; the functional and the integration tests inherit it."""

import pytest

from hort import batch, keys
from hort.batch import Message, Messages, Reference
from hort.journal import FAR_MS, FREE_CUTS, Journal, Part, Trouble

REGISTRATION = "0123456789abcdef"
JOURNAL = keys.journal(0, REGISTRATION)
NOW = 1_700_000_000_000


def reference(now: int = NOW) -> Reference:
    return Reference(batch.new_id(REGISTRATION, 0, now), JOURNAL)


def put(journal: Journal, *, now: int = NOW, payload: bytes = b"{}") -> Reference:
    made = reference(now)
    raw = batch.pack(Messages.of([Message("t", payload, now, 1)]))
    journal.put(made, raw, trigger="/guest/t", count=1, now=now)
    return made


def due(journal: Journal, now: int, *, limit: int = 100) -> list[Reference]:
    return [entry.reference for entry in journal.due(JOURNAL, now=now, limit=limit)]


class JournalContract:
    """Tests over a fixture `journal`."""

    def test_a_batch_is_due_at_once_and_can_be_loaded(self, journal: Journal) -> None:
        made = put(journal, payload=b"\x00\xff")
        (entry,) = journal.due(JOURNAL, now=NOW, limit=10)
        raw = journal.load(made)
        assert raw is not None
        assert batch.unpack(raw).payloads == [b"\x00\xff"]
        facts = (entry.reference, entry.trigger, entry.count, entry.bytes, entry.created_ms, entry.attempts)
        assert facts == (made, "/guest/t", 1, len(raw), NOW, 0)

    def test_the_oldest_are_due_first_and_only_as_many_as_asked(self, journal: Journal) -> None:
        late, early, middle = (put(journal, now=NOW + offset) for offset in (200, 0, 100))
        assert due(journal, NOW + 1000, limit=2) == [early, middle]
        assert due(journal, NOW + 150) == [early, middle]
        assert due(journal, NOW + 200) == [early, middle, late]

    def test_an_acknowledged_batch_is_gone_with_all_that_was_staged(self, journal: Journal) -> None:
        made = put(journal)
        assert journal.write_stage(made, {"events": b"x"})
        assert journal.ack(made)
        assert journal.load(made) is None
        assert journal.read_stage(made, ["events"]) is None
        assert journal.size(JOURNAL) == 0
        assert due(journal, NOW * 2) == []
        assert not journal.ack(made)

    def test_messages_without_a_journal_are_never_due(self, journal: Journal) -> None:
        made = batch.direct_reference(b"raw")
        journal.put_direct(made, b"raw", count=1, now=NOW)
        assert journal.load(made) == b"raw"
        assert journal.created(made) == NOW
        assert journal.due(made.journal, now=NOW * 2, limit=9) == []
        assert journal.ack(made)
        assert journal.load(made) is None
        assert journal.usage(made.journal, now=NOW).bytes == 0

    def test_whoever_comes_late_can_do_no_harm(self, journal: Journal) -> None:
        made = put(journal)
        journal.ack(made)
        assert not journal.write_stage(made, {"events": b"x"})
        assert not journal.retry_at(made, NOW)
        assert not journal.take(made, due_ms=NOW)
        assert not journal.give_back(made, due_ms=NOW)
        journal.fired(made, activation="a")
        assert journal.load(made) is None
        assert journal.usage(JOURNAL, now=NOW).count == 0

    def test_staged_fields_are_read_by_name(self, journal: Journal) -> None:
        made = put(journal)
        assert journal.read_stage(made, ["events"]) == {}
        journal.write_stage(made, {"events": b"1", "late": b""})
        journal.write_stage(made, {"events": b"2"})
        assert journal.read_stage(made, ["events", "late", "dead"]) == {"events": b"2", "late": b""}

    def test_what_is_staged_once_is_not_staged_again(self, journal: Journal) -> None:
        made = put(journal)
        assert journal.write_stage(made, {"ingested": b"1", "dead": b"1"}, "ingested")
        assert journal.write_stage(made, {"dead": b"1 and 2"})
        assert not journal.write_stage(made, {"ingested": b"2", "dead": b"1"}, "ingested")
        assert journal.read_stage(made, ["ingested", "dead"]) == {"ingested": b"1", "dead": b"1 and 2"}

    def test_a_taken_batch_is_due_again_later(self, journal: Journal) -> None:
        made = put(journal)
        assert journal.take(made, due_ms=NOW + 30_000)
        assert due(journal, NOW + 29_999) == []
        (entry,) = journal.due(JOURNAL, now=NOW + 30_000, limit=1)
        assert (entry.reference, entry.attempts) == (made, 1)

    def test_an_attempt_can_be_given_back(self, journal: Journal) -> None:
        made = put(journal)
        journal.take(made, due_ms=NOW + 30_000)
        assert journal.give_back(made, due_ms=NOW)
        (entry,) = journal.due(JOURNAL, now=NOW, limit=1)
        assert entry.attempts == 0

    def test_an_action_may_ask_for_an_earlier_time(self, journal: Journal) -> None:
        made = put(journal)
        journal.take(made, due_ms=NOW + 30_000)
        assert journal.retry_at(made, NOW + 2_000)
        assert due(journal, NOW + 2_000) == [made]

    def test_a_time_that_is_too_far_ahead_to_be_meant_is_due(self, journal: Journal) -> None:
        odd, far, fresh = put(journal), put(journal), put(journal, now=NOW - 1)
        journal.take(odd, due_ms=NOW + FAR_MS + 1)
        journal.take(far, due_ms=NOW + FAR_MS)
        assert due(journal, NOW) == [fresh, odd]
        assert due(journal, NOW, limit=1) == [fresh]
        assert journal.usage(JOURNAL, now=NOW).in_flight == 1

    def test_what_is_due_late_is_pulled_in(self, journal: Journal) -> None:
        late, later, fresh = put(journal), put(journal), put(journal)
        journal.take(late, due_ms=NOW + 100)
        journal.take(later, due_ms=NOW + 86_400_000)
        assert journal.pull_in(JOURNAL, due_ms=NOW + 100) == 1
        assert journal.times([late, later, fresh]) == [NOW + 100, NOW + 100, NOW]
        assert journal.pull_in(JOURNAL, due_ms=NOW + 100) == 0

    def test_times_and_entries_of_some_batches(self, journal: Journal) -> None:
        first, second, third = put(journal), put(journal), put(journal)
        journal.take(first, due_ms=NOW + 30_000)
        journal.ack(second)
        assert journal.times([first, second, third]) == [NOW + 30_000, None, NOW]
        assert [(entry.reference, entry.attempts) for entry in journal.entries([first, second, third])] == [(first, 1), (third, 0)]
        assert journal.times([]) == []
        assert journal.entries([]) == []

    def test_usage(self, journal: Journal) -> None:
        assert journal.usage(JOURNAL, now=NOW) == type(journal.usage(JOURNAL, now=NOW))(0, 0, 0, 0)
        first, second = put(journal), put(journal, now=NOW + 5, payload=b"x" * 100)
        journal.take(first, due_ms=NOW + 30_000)
        usage = journal.usage(JOURNAL, now=NOW + 10)
        sizes = [len(journal.load(made) or b"") for made in (first, second)]
        assert (usage.count, usage.bytes, usage.in_flight, usage.oldest_ms) == (2, sum(sizes), 1, NOW)
        journal.ack(first)
        usage = journal.usage(JOURNAL, now=NOW + 10)
        assert (usage.count, usage.bytes, usage.in_flight, usage.oldest_ms) == (1, sizes[1], 0, NOW + 5)

    def test_drop_forgets_everything_of_one_journal(self, journal: Journal) -> None:
        put(journal)
        put(journal)
        other = Reference(batch.new_id("fedcba9876543210", 0, NOW), keys.journal(0, "fedcba9876543210"))
        journal.put(other, b"raw", trigger="/guest/o", count=1, now=NOW)
        assert journal.drop(JOURNAL) == 2
        assert journal.usage(JOURNAL, now=NOW).bytes == 0
        assert journal.load(other) == b"raw"

    @pytest.mark.parametrize("size", [1, 3_000_000])
    def test_bytes_come_back_as_they_were(self, journal: Journal, size: int) -> None:
        payload = bytes(range(256)) * (size // 256 + 1)
        raw = journal.load(put(journal, payload=payload))
        assert raw is not None
        assert batch.unpack(raw).payloads == [payload]

    def test_tries_of_each_step_are_counted_until_the_batch_is_done(self, journal: Journal) -> None:
        made = put(journal)
        assert [journal.count_try(made, "ingest") for _ in range(2)] == [1, 2]
        assert journal.count_try(made, "window") == 1
        journal.uncount_try(made, "ingest")
        assert journal.count_try(made, "ingest") == 2
        journal.ack(made)
        journal.uncount_try(made, "ingest")
        assert journal.count_try(made, "ingest") == 0
        assert journal.load(made) is None

    def test_tries_count_only_where_others_pass(self, journal: Journal) -> None:
        made = put(journal)
        assert [journal.count_try(made, "window", only_if_others_pass=True) for _ in range(3)] == [1, 1, 1]
        journal.ack(put(journal))
        assert [journal.count_try(made, "window", only_if_others_pass=True) for _ in range(3)] == [2, 2, 2]

    def test_parts_take_the_place_of_a_batch(self, journal: Journal) -> None:
        made = put(journal, now=NOW)
        journal.write_stage(made, {"events": b"x"})
        journal.count_try(made, "window")
        parts = [Part(Reference(batch.part_id(made.batch_id, NOW), JOURNAL), 2, raw=b"first"), _staged_part(made)]
        assert journal.split(made, parts, unless="late")
        assert (journal.load(made), journal.read_stage(made, ["events"]), journal.ack(made)) == (None, None, False)
        first, second = journal.entries([part.reference for part in parts])
        assert (first.trigger, first.count, first.bytes, first.created_ms, first.attempts) == ("/guest/t", 2, 5, NOW, 0)
        assert sorted(name.batch_id for name in due(journal, NOW * 2)) == sorted(part.reference.batch_id for part in parts)
        assert journal.read_stage(second.reference, ["events"]) == {"events": b"y"}
        assert journal.usage(JOURNAL, now=NOW * 2).bytes == 5
        assert journal.trouble(second.reference, "window") == Trouble()
    def test_small_parts_know_whether_others_passed(self, journal: Journal) -> None:
        part = put(journal)
        for _ in range(FREE_CUTS):
            assert journal.others_passed(part)
            whole, part = part, Reference(batch.part_id(part.batch_id, NOW), JOURNAL)
            assert journal.split(whole, [Part(part, 2, raw=b"x")], unless="late")
        assert not journal.others_passed(part)
        journal.ack(put(journal))
        assert journal.others_passed(part)

    def test_what_got_through_meanwhile_is_not_split(self, journal: Journal) -> None:
        made = put(journal)
        journal.write_stage(made, {"late": b""})
        assert not journal.split(made, [_staged_part(made)], unless="late")
        journal.ack(made)
        assert not journal.split(made, [_staged_part(made)], unless="late")
        direct = batch.direct_reference(b"raw")
        journal.put_direct(direct, b"raw", count=2, now=NOW)
        assert not journal.split(direct, [_staged_part(direct)], unless="late"), "nobody would fire the parts"
        assert journal.size(JOURNAL) == 0

    def test_where_an_action_is_can_be_noted(self, journal: Journal) -> None:
        made = put(journal)
        assert journal.trouble(made, "window") == Trouble()
        journal.count_try(made, "window")
        journal.note(made, "window", range(3, 7))
        assert journal.trouble(made, "window") == Trouble(1, range(3, 7))
        assert journal.trouble(made, "score") == Trouble()
        journal.note(made, "window", None)
        assert journal.trouble(made, "window") == Trouble(1)
        journal.ack(made)
        journal.note(made, "window", range(3, 7))
        assert journal.load(made) is None, "a batch that is done leaves nothing behind"


def _staged_part(whole: Reference) -> Part:
    return Part(Reference(batch.part_id(whole.batch_id, NOW), whole.journal), 1, stage={"events": b"y"})
