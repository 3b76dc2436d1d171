"""What a deleted feed leaves in a real Redis goes for good, unless another provider serves it by then."""

from typing import Any

import pytest
import redis

from feeds.provider import connection
from feeds.provider.ledger import Piece, RedisLedger
from feeds.provider.meters import Meters
from feeds.provider.registrations import RedisRegistrations, Registration
from feeds.provider.removal import Removal
from feeds.provider.service import RedisWorks
from feeds.provider.testing import MemoryWhisk
from feeds.provider.vault import Vault
from feeds.provider.whisk import Target
from hort import batch, feed_options, keys
from hort.errors import Fenced
from hort.journal import RedisJournal
from hort.testing import FakeClock

NAME = "0" * 16
JOURNAL = keys.journal(0, NAME)
BATCHES = 250


def fill(client: "redis.Redis", token: int, count: int = BATCHES) -> None:
    """Batches, one of them staged, and a spooled piece with its packet ids, by the owner with this token."""
    ledger = RedisLedger(client, registration=NAME, partition=0, token=token)
    ledger.open()
    for number in range(count):
        reference = batch.Reference(batch.new_id(NAME, 0, 1_000 + number), JOURNAL)
        ledger.put(Piece(reference.batch_id, b"raw", b""), reference, trigger="/guest/t", count=1, now=1, due_ms=1)
    ledger.spool(Piece("s-1", b"raw", b"ids"))
    RedisJournal(client).write_stage(reference, {"a": b"b"}, "a")


def removal(client: "redis.Redis", token: int) -> Removal:
    return Removal(client, registration=NAME, partition=0, token=token)


def test_nothing_is_left_and_what_it_was_is_told(redis_client: "redis.Redis") -> None:
    fill(redis_client, token=3)
    done = removal(redis_client, 3)
    done.run()
    assert list(redis_client.scan_iter()) == []
    assert (done.batches, done.spooled, len(done.shown)) == (BATCHES, 1, 20)
    removal(redis_client, 4).run()
    assert list(redis_client.scan_iter()) == []


def test_whoever_stood_still_drops_nothing_of_what_another_one_serves(redis_client: "redis.Redis") -> None:
    fill(redis_client, token=4)
    before = {key: redis_client.dump(key) for key in redis_client.scan_iter()}
    with pytest.raises(Fenced):
        removal(redis_client, 3).run()
    assert {key: redis_client.dump(key) for key in redis_client.scan_iter()} == before


def test_whoever_stands_still_half_way_drops_no_more(redis_client: "redis.Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    fill(redis_client, token=3)
    late = removal(redis_client, 3)
    looks: list[int] = []
    zrange: Any = redis_client.zrange

    def stopped(*args: object) -> Any:
        names = zrange(*args)
        looks.append(len(names))
        if len(looks) == 2:
            removal(redis_client, 4).run()
            fill(redis_client, token=5, count=7)
        return names

    monkeypatch.setattr(redis_client, "zrange", stopped)
    with pytest.raises(Fenced):
        late.run()
    assert late.batches == 100
    assert (redis_client.zcard(JOURNAL), redis_client.llen(keys.spool(0, NAME))) == (7, 1)


def test_a_session_that_another_one_serves_is_not_ended(redis_client: "redis.Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[object] = []

    def end_session(*args: object) -> bool:
        ended.append(args)
        return True

    monkeypatch.setattr(connection, "end_session", end_session)
    registrations = RedisRegistrations(redis_client, Vault("k" * 16))
    clock = FakeClock()
    works = RedisWorks(
        redis_client, RedisJournal(redis_client), registrations, MemoryWhisk(), clock=clock, steady=clock, meters=Meters()
    )
    config = feed_options.parse({"url": "mqtt://broker"})
    registration = Registration(NAME, Target("http://host", "/guest/t", "a:b"), "client", config, 1)
    fill(redis_client, token=3)
    redis_client.hset(keys.FENCES, NAME, 4)
    with pytest.raises(Fenced):
        works.purge(registration, 3)
    assert (ended, redis_client.zcard(JOURNAL)) == ([], BATCHES)
    assert works.purge(registration, 4) == BATCHES + 1
    assert len(ended) == 1
    assert list(redis_client.scan_iter()) == []
