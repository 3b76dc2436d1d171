"""Alarms served by the provider, through their feed actions."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from hort import alarm_feed, keys
from tests.support.polling import wait_until
from tests.support.provider import AUTH, SECRET, FakeWhisk, Provider

EACH_SECOND = "* * * * * *"
Feed = Callable[..., Any]


@pytest.fixture
def act(monkeypatch: pytest.MonkeyPatch) -> Feed:
    """Calls a feed action as a client does."""
    monkeypatch.setenv("__OW_NAMESPACE", "guest")

    def call(provider: Provider, event: str, kind: str = "alarm", trigger: str = "/_/tick", **params: Any) -> Any:
        monkeypatch.setenv("__OW_ACTION_NAME", f"/guest/alarms/{kind}")
        bound = {"provider_url": provider.url, "provider_secret": SECRET, "authKey": ":".join(AUTH)}
        return alarm_feed.handle({**bound, "lifecycleEvent": event, "triggerName": trigger, **params})

    return call


def test_whole_life(provider: Provider, act: Feed, openwhisk: FakeWhisk, redis_client: "redis.Redis") -> None:
    payload = {"a": 1}
    assert act(provider, "CREATE", cron=EACH_SECOND, trigger_payload=payload) == {"status": "success"}
    wait_until(lambda: len(openwhisk.fires) >= 2, what="fired twice")
    assert openwhisk.fires[0] == payload
    read = act(provider, "READ")
    assert (read["config"]["cron"], read["config"]["payload"], read["status"]["active"]) == (EACH_SECOND, payload, True)
    assert AUTH[1] not in json.dumps(read) + repr(redis_client.hgetall(keys.ALARMS)) + provider.log
    assert act(provider, "DELETE") == {"status": "success"}
    assert act(provider, "DELETE") == {"status": "success"}
    assert "error" in act(provider, "READ")


def test_what_is_refused(provider: Provider, act: Feed) -> None:
    assert "error" in act(provider, "CREATE", cron="no cron")
    assert "error" in act(provider, "CREATE")
    assert "error" in act(provider, "CREATE", trigger="/_/unknown", cron=EACH_SECOND)
    assert "an alarm feed is named" in act(provider, "CREATE", kind="weekly", cron=EACH_SECOND)["error"]
    wrong = act(provider, "CREATE", cron=EACH_SECOND, authKey="wrong:key")
    assert "error" in wrong


def create_once(provider: Provider, act: Feed) -> None:
    """In a moment, or in a longer one where that was over before the provider was asked."""
    wait_until(lambda: provider.logged("alarms-serving"), what="time is kept")
    for ahead_s in (5, 20, 80):
        date = datetime.now(UTC) + timedelta(seconds=ahead_s)
        answer = act(provider, "CREATE", kind="once", date=date.isoformat().replace("+00:00", "Z"))
        if datetime.now(UTC) < date - timedelta(seconds=1):
            break
    assert answer == {"status": "success"}


def test_once(provider: Provider, act: Feed, openwhisk: FakeWhisk) -> None:
    create_once(provider, act)
    wait_until(lambda: openwhisk.fires == [{}], what="fired")
    wait_until(lambda: act(provider, "READ", kind="once")["status"]["active"] is False, what="over")


def test_a_refused_trigger_switches_the_alarm_off(provider: Provider, act: Feed, openwhisk: FakeWhisk) -> None:
    openwhisk.answer = lambda _number: (404, {"error": "gone"})
    act(provider, "CREATE", cron=EACH_SECOND)
    wait_until(lambda: act(provider, "READ")["status"]["active"] is False, what="disabled")
    assert act(provider, "READ")["status"]["reason"]["statusCode"] == 404


def test_alarms_survive_a_restart_and_one_provider_keeps_time(
    new_provider: Callable[..., Provider], act: Feed, openwhisk: FakeWhisk, redis_client: "redis.Redis"
) -> None:
    first = new_provider()
    wait_until(lambda: '"alarms-serving"' in first.log, what="first keeps time")
    owner = redis_client.get(keys.lease("alarms"))
    assert owner is not None
    second = new_provider()
    act(second, "CREATE", cron=EACH_SECOND)
    wait_until(lambda: len(openwhisk.fires) >= 2, what="fired by the one that keeps time")
    if '"alarm-fired"' in second.log:
        assert redis_client.get(keys.lease("alarms")) != owner, "only who has the lease fires: the first one stood still and lost it"
    assert first.stop() == 0
    before = len(openwhisk.fires)
    wait_until(lambda: len(openwhisk.fires) >= before + 2, what="the other one goes on")
    wait_until(lambda: '"alarm-fired"' in second.log, what="the log line, written after the answer")
