"""Registrations through the life cycle, over in-memory twins."""

from collections.abc import Callable
from typing import Any

import pytest

from feeds.provider.registrations import switched
from feeds.provider.service import Caller, Lifecycle
from feeds.provider.testing import MemoryRegistrations, MemoryWhisk
from hort import keys
from hort.errors import ConfigError, FeedRefused
from hort.testing import FakeClock

CALLER = Caller("/guest/t", "user:key", "http://given")
NAME = keys.registration_id("/guest/t")
PARAMS = {"url": "mqtt://broker", "topics": "a/#"}


class Bench:
    def __init__(self, api_host: str = "http://set") -> None:
        self.registrations = MemoryRegistrations()
        self.whisk = MemoryWhisk()
        self.clock = FakeClock()
        self.woken = 0
        self.lifecycle = Lifecycle(
            self.registrations, self.whisk, api_host=api_host, clock=self.clock, changed=self._wake
        )

    def _wake(self) -> None:
        self.woken += 1

    @property
    def row(self) -> Any:
        return self.registrations.rows[NAME]


def test_create_keeps_the_client_id_of_the_same_broker() -> None:
    bench = Bench()
    first = bench.lifecycle.create(CALLER, PARAMS)["config"]["client_id"]
    assert first.startswith(f"hort-{NAME}-")
    assert bench.lifecycle.create(CALLER, {**PARAMS, "topics": "b"})["config"]["client_id"] == first
    assert bench.lifecycle.create(CALLER, {**PARAMS, "url": "mqtt://other"})["config"]["client_id"] != first
    assert bench.lifecycle.create(CALLER, {**PARAMS, "client_id": "mine"})["config"]["client_id"] == "mine"
    assert bench.woken == 4


@pytest.mark.parametrize("url", ["mqtts://broker", "mqtt://broker:1883", "ws://Broker/mqtt"])
def test_another_way_to_the_same_broker_keeps_the_session(url: str) -> None:
    bench = Bench()
    bench.lifecycle.create(CALLER, PARAMS)
    before = bench.row
    bench.lifecycle.update(CALLER, {"url": url}, active=None)
    assert bench.row.config.url == url
    assert bench.row.session == before.session == ("broker", before.client_id)


def test_delete_keeps_the_registration_for_a_create_that_follows() -> None:
    bench = Bench()
    first = bench.lifecycle.create(CALLER, PARAMS)["config"]["client_id"]
    bench.lifecycle.delete(CALLER)
    assert bench.row.deleted_at == bench.clock.now
    assert bench.lifecycle.list() == []
    with pytest.raises(FeedRefused, match="has no feed here"):
        bench.lifecycle.read(CALLER)
    assert bench.lifecycle.create(CALLER, PARAMS)["config"]["client_id"] == first
    assert bench.row.deleted_at is None


def test_a_create_keeps_the_secrets_it_names_over_a_delete() -> None:
    bench = Bench()
    bench.lifecycle.create(CALLER, {**PARAMS, "username": "me", "password": "secret"})
    bench.lifecycle.delete(CALLER)
    bench.lifecycle.create(CALLER, PARAMS, keep=["password"])
    assert (bench.row.config.username, bench.row.config.password) == ("", "secret")
    bench.lifecycle.create(CALLER, {**PARAMS, "password": "given"}, keep=["password"])
    assert bench.row.config.password == "given"
    bench.lifecycle.create(CALLER, PARAMS)
    assert bench.row.config.password == ""


def test_delete_of_the_unknown_succeeds() -> None:
    assert Bench().lifecycle.delete(CALLER)["status"] == "deleted"


def test_the_provider_s_api_host_outranks_the_given_one() -> None:
    bench = Bench()
    bench.lifecycle.create(CALLER, PARAMS)
    assert bench.row.target.api_host == "http://set"
    other = Bench(api_host="")
    other.lifecycle.create(CALLER, PARAMS)
    assert other.row.target.api_host == "http://given"


def test_without_the_right_to_the_trigger_nothing_happens() -> None:
    bench = Bench()
    bench.lifecycle.create(CALLER, PARAMS)
    bench.whisk.refuse = "no"
    acts: list[Callable[[], object]] = [
        lambda: bench.lifecycle.create(CALLER, {**PARAMS, "topics": "stolen"}),
        lambda: bench.lifecycle.read(CALLER),
        lambda: bench.lifecycle.update(CALLER, {"topics": "stolen"}, active=None),
        lambda: bench.lifecycle.delete(CALLER),
    ]
    for act in acts:
        with pytest.raises(FeedRefused, match="no"):
            act()
    assert bench.row.config.topics == ("a/#",)
    assert bench.row.deleted_at is None


def test_update_switches_a_disabled_feed_on_again() -> None:
    bench = Bench()
    bench.lifecycle.create(CALLER, PARAMS)
    reason = {"kind": "AUTO", "statusCode": 404, "message": "gone"}
    bench.registrations.change(NAME, lambda row: row and switched(row, active=False, reason=reason, now=1))
    assert bench.lifecycle.read(CALLER)["status"]["reason"] == reason
    status = bench.lifecycle.update(CALLER, {"linger_ms": 5}, active=None)["status"]
    assert status["active"] is True
    assert "reason" not in status


def test_pause_and_unpause() -> None:
    bench = Bench()
    bench.lifecycle.create(CALLER, PARAMS)
    assert bench.lifecycle.update(CALLER, {}, active=False)["status"]["active"] is False
    assert bench.lifecycle.update(CALLER, {}, active=True)["status"]["active"] is True


def test_bad_updates_change_nothing() -> None:
    bench = Bench()
    bench.lifecycle.create(CALLER, PARAMS)
    with pytest.raises(FeedRefused, match="no updatable parameters"):
        bench.lifecycle.update(CALLER, {}, active=None)
    with pytest.raises(ConfigError, match="'qos'"):
        bench.lifecycle.update(CALLER, {"qos": 9}, active=None)
    with pytest.raises(FeedRefused, match="tls_ca"):
        bench.lifecycle.update(CALLER, {"url": "mqtts://broker", "tls_ca": "no certificate"}, active=None)
    assert bench.row.generation == 1


@pytest.mark.parametrize("trigger", ["t", "/t", "/_/t", "/guest/", "guest/t", "/guest/p/t"])
def test_a_trigger_has_a_full_name(trigger: str) -> None:
    with pytest.raises(FeedRefused, match="trigger must be /namespace/name"):
        Bench().lifecycle.create(Caller(trigger, "u:k", ""), PARAMS)


def test_nothing_shown_holds_a_secret() -> None:
    bench = Bench()
    shown = bench.lifecycle.create(CALLER, {**PARAMS, "password": "hidden-password"})
    for text in (repr(shown), repr(bench.row), repr(bench.lifecycle.list())):
        assert "hidden-password" not in text
        assert "user:key" not in text


def test_an_update_of_the_delivery_takes_the_ack_that_goes_with_it() -> None:
    bench = Bench()
    bench.lifecycle.create(CALLER, {**PARAMS, "delivery": "inline"})
    bench.lifecycle.update(CALLER, {"delivery": "reference"}, active=None)
    assert (bench.row.config.ack, bench.row.config.max_bytes) == ("sink", 8_000_000)
    bench.lifecycle.update(CALLER, {"delivery": "inline"}, active=None)
    assert bench.row.config.ack == "started"
    bench.lifecycle.update(CALLER, {"delivery": "reference", "ack": "sink"}, active=None)
    bench.lifecycle.update(CALLER, {"linger_ms": 5}, active=None)
    assert bench.row.config.ack == "sink"


def test_a_refused_subscription_shows_in_the_status() -> None:
    bench = Bench()
    bench.lifecycle.create(CALLER, PARAMS)
    bench.registrations.report(NAME, {"connected": True, "problem": "refused: no", "refused": "refused: no", "hold": "h"}, ttl_s=9)
    status = bench.lifecycle.read(CALLER)["status"]
    assert status["active"] is True
    assert status["reason"] == {"kind": "SUBSCRIPTION", "statusCode": None, "message": "refused: no"}


def test_subscribed_is_told_of_the_topics_that_are_wanted_now() -> None:
    bench = Bench()
    bench.lifecycle.create(CALLER, PARAMS)
    told = {"connected": True, "subscribed": True, "generation": bench.row.generation}
    bench.registrations.report(NAME, told, ttl_s=9)
    assert bench.lifecycle.read(CALLER)["subscribed"] is True
    assert bench.lifecycle.update(CALLER, {"topics": ["other/#"]}, active=None)["subscribed"] is False
    assert bench.lifecycle.read(CALLER)["subscribed"] is False
    bench.registrations.report(NAME, {**told, "generation": bench.row.generation, "subscribed": False}, ttl_s=9)
    assert bench.lifecycle.read(CALLER)["subscribed"] is False
