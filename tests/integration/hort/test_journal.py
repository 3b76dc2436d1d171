import pytest
import redis

from hort import keys
from hort.counters import RedisCounters
from hort.journal import STAGE_TTL_S, Journal, RedisJournal
from tests.support.journal_contract import JOURNAL, NOW, JournalContract, put


class TestRedisJournal(JournalContract):
    @pytest.fixture
    def journal(self, redis_client: redis.Redis) -> Journal:
        return RedisJournal(redis_client)


def test_what_is_staged_goes_by_itself_in_the_end(redis_client: redis.Redis) -> None:
    journal = RedisJournal(redis_client)
    made = put(journal)
    journal.write_stage(made, {"events": b"x"})
    assert STAGE_TTL_S - 300 <= redis_client.ttl(made.stage_key) <= STAGE_TTL_S


def test_every_key_of_a_journal_is_in_one_slot(redis_client: redis.Redis) -> None:
    journal = RedisJournal(redis_client)
    made = put(journal)
    journal.write_stage(made, {"events": b"x"})
    journal.take(made, due_ms=NOW)
    found = {key.decode() for key in redis_client.scan_iter()}
    assert found == {made.batch_key, made.stage_key, JOURNAL, keys.journal_bytes(JOURNAL)}
    assert {keys.partition_of(key) for key in found} == {0}


def test_a_batch_that_is_stored_while_it_is_looked_at_has_not_vanished(redis_client: redis.Redis) -> None:
    journal = RedisJournal(redis_client)
    made = put(journal)
    journal.ack(made)
    assert journal.entries([made]) == []
    assert RedisCounters(redis_client).all() == {}


def test_a_place_whose_batch_was_evicted_does_not_stop_the_journal(
    redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = RedisJournal(redis_client)
    evicted, made = put(journal), put(journal, now=NOW + 1)
    redis_client.delete(evicted.batch_key)
    assert journal.due(JOURNAL, now=NOW + 10, limit=1) == []
    assert RedisCounters(redis_client).all() == {"journal.vanished": 1}
    assert evicted.batch_id in capsys.readouterr().err
    assert [entry.reference for entry in journal.due(JOURNAL, now=NOW + 10, limit=1)] == [made]


@pytest.mark.parametrize("stored_last", [False, True])
def test_evicted_batches_do_not_fill_an_empty_journal(redis_client: redis.Redis, *, stored_last: bool) -> None:
    journal = RedisJournal(redis_client)
    evicted, made = put(journal), put(journal, now=NOW + 1)
    redis_client.delete(evicted.batch_key)
    if stored_last:
        journal.due(JOURNAL, now=NOW, limit=1)
    assert journal.ack(made)
    journal.due(JOURNAL, now=NOW, limit=1)
    assert (journal.size(JOURNAL), journal.usage(JOURNAL, now=NOW).bytes) == (0, 0)
    later = put(journal)
    entry = journal.due(JOURNAL, now=NOW, limit=1)[0]
    assert (entry.reference, journal.usage(JOURNAL, now=NOW).bytes) == (later, entry.bytes)
