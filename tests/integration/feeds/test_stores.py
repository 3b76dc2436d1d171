"""The provider's stores in a real Redis."""

from dataclasses import replace

import pytest
import redis

from feeds.provider.leases import ALIVE_MS, LEASE_MS, Leases, RedisLeases
from feeds.provider.ledger import RedisLedger
from feeds.provider.registrations import RedisRegistrations, Registration
from feeds.provider.testing import MemoryLeases
from feeds.provider.vault import Vault
from feeds.provider.whisk import Target
from hort import feed_options, keys
from hort.journal import Journal, RedisJournal
from tests.support.journal_contract import REGISTRATION
from tests.support.ledger_contract import LedgerContract, Make


class TestRedisLedger(LedgerContract):
    @pytest.fixture
    def journal(self, redis_client: redis.Redis) -> Journal:
        return RedisJournal(redis_client)

    @pytest.fixture
    def make(self, redis_client: redis.Redis) -> Make:
        return lambda token: RedisLedger(redis_client, registration=REGISTRATION, partition=0, token=token)


def registration(name: str = "0" * 16) -> Registration:
    config = feed_options.parse({"url": "mqtt://broker", "topics": ["a", "b"], "password": "hidden-password"})
    return Registration(name, Target("http://host", "/guest/t", "user:hidden-key"), "client", config, 7)


def test_registrations_come_back_and_rest_encrypted(redis_client: redis.Redis) -> None:
    store = RedisRegistrations(redis_client, Vault("k" * 16))
    made = registration()
    store.change(made.id, lambda _old: made)
    assert store.get(made.id) == made
    assert store.all() == {made.id: made}
    assert "hidden" not in repr(redis_client.hgetall(keys.REGISTRATIONS))
    assert RedisRegistrations(redis_client, Vault("x" * 16)).all() == {}, "another key reads nothing, and breaks nothing"
    assert store.get(made.id) == made


def test_a_registration_whose_key_was_lost_can_be_made_anew(redis_client: redis.Redis) -> None:
    made = registration()
    RedisRegistrations(redis_client, Vault("k" * 16)).change(made.id, lambda _old: made)
    store = RedisRegistrations(redis_client, Vault("x" * 16))
    assert store.change(made.id, lambda old: made if old is None else None) == made
    assert store.get(made.id) == made


def test_a_change_sees_what_somebody_else_changed_meanwhile(redis_client: redis.Redis) -> None:
    store = RedisRegistrations(redis_client, Vault("k" * 16))
    made = registration()
    store.change(made.id, lambda _old: made)
    disturbed = False

    def edit(old: Registration | None) -> Registration | None:
        nonlocal disturbed
        assert old is not None
        if not disturbed:
            disturbed = True
            store.change(made.id, lambda now: now and replace(now, generation=now.generation + 1))
        return replace(old, generation=old.generation + 1)

    changed = store.change(made.id, edit)
    assert changed is not None
    assert changed.generation == 3


def test_removing_a_registration_takes_what_belongs_to_it(redis_client: redis.Redis) -> None:
    store = RedisRegistrations(redis_client, Vault("k" * 16))
    made = registration()
    store.change(made.id, lambda _old: made)
    store.set_subscribed(made.id, "text")
    store.report(made.id, {"connected": True}, ttl_s=20)
    assert (store.subscribed(made.id), store.runtime(made.id)) == ("text", {"connected": True})
    store.change(made.id, lambda _old: None)
    assert list(redis_client.scan_iter()) == []


class LeasesContract:
    """Tests over a fixture `pair`: the leases of two providers."""

    def test_a_lease_has_one_owner_and_a_growing_token(self, pair: tuple[Leases, Leases]) -> None:
        first, second = pair
        assert first.acquire("r") == 1
        assert second.acquire("r") is None
        assert first.renew("r", 1)
        assert not second.renew("r", 1)
        second.release("r")
        assert first.renew("r", 1)
        first.release("r")
        assert second.acquire("r") == 2
        assert not first.renew("r", 1)

    def test_a_lease_that_ran_out_is_renewed_where_nobody_had_it_meanwhile(self, pair: tuple[Leases, Leases]) -> None:
        first, second = pair
        assert first.acquire("r") == 1
        first.release("r")
        assert first.renew("r", 1)
        assert second.acquire("r") is None
        first.release("r")
        assert second.acquire("r") == 2
        second.release("r")
        assert not first.renew("r", 1)
        assert not first.renew("unknown", 1)


class TestMemoryLeases(LeasesContract):
    @pytest.fixture
    def pair(self) -> tuple[Leases, Leases]:
        first = MemoryLeases()
        return first, first.other("second")


class TestRedisLeases(LeasesContract):
    @pytest.fixture
    def pair(self, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> tuple[Leases, Leases]:
        monkeypatch.setattr("feeds.provider.leases.LEASE_MS", 600_000)  # none ends by itself here
        return RedisLeases(redis_client, "first"), RedisLeases(redis_client, "second")


def test_a_feed_made_anew_never_gets_a_token_that_an_old_owner_may_hold(redis_client: redis.Redis) -> None:
    """Fences go with their feed: tokens that began anew would let a provider write that slept over the removal."""
    redis_client.hset(keys.FENCES, "r", 41)
    leases = RedisLeases(redis_client, "first")
    assert leases.acquire("r") == 42, "above what an earlier version gave out"
    leases.release("r")
    redis_client.hdel(keys.FENCES, "r")
    assert leases.acquire("r") == 43
    assert leases.acquire("other") == 44
    assert leases.renew("other", 44)


def test_a_lease_ends_by_itself(redis_client: redis.Redis) -> None:
    leases = RedisLeases(redis_client, "first")
    leases.acquire("r")
    assert 0 < redis_client.pttl(keys.lease("r")) <= LEASE_MS
    leases.renew("r", 1)
    assert 0 < redis_client.pttl(keys.lease("r")) <= LEASE_MS


def test_providers_are_counted_while_they_are_alive(redis_client: redis.Redis) -> None:
    first, second = RedisLeases(redis_client, "first"), RedisLeases(redis_client, "second")
    assert first.beat() == 1
    assert second.beat() == 2
    seconds, _ = redis_client.time()
    redis_client.zadd(keys.PROVIDERS, {"first": seconds * 1000 - ALIVE_MS})
    assert second.beat() == 1
    redis_client.zadd(keys.PROVIDERS, {"died while Redis' clock was an hour ahead": (seconds + 3_600) * 1000})
    assert second.beat() == 1
    second.leave()
    assert first.beat() == 1
