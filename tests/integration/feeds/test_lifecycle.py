"""The feed's life cycle: the feed action against a real provider, Redis and broker."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
import requests

from hort import feed, keys
from hort.counters import RedisCounters
from tests.integration.feeds.test_interruptions import assert_exactly_once, stream, wait_for
from tests.support.polling import wait_until
from tests.support.provider import AUTH, SECRET, TRIGGER, Consumer, FakeWhisk, Provider, publish, publisher

FAST = {"max_fires_per_minute": 600, "linger_ms": 20}
Feed = Callable[..., dict[str, Any]]


@pytest.fixture
def act(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Feed:
    """Calls the feed action as a client does."""
    monkeypatch.setenv("__OW_NAMESPACE", "guest")

    def call(event: str, trigger: str = "/_/device-events", **params: Any) -> dict[str, Any]:
        bound = {"provider_url": provider.url, "provider_secret": SECRET, "authKey": ":".join(AUTH)}
        return feed.handle({**bound, "lifecycleEvent": event, "triggerName": trigger, **params})

    return call


def test_whole_life(act: Feed, provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str) -> None:
    created = act("CREATE", url=mqtt_url, topics=f"{topic_root}/#", password="hidden-password", username="me", **FAST)
    assert created["triggerName"] == TRIGGER
    provider.wait_connected()
    read = act("READ")
    assert set(read) >= {"config", "status"}
    assert read["status"]["active"] is True
    assert set(read["status"]) == {"active", "dateChanged", "dateChangedISO"}
    assert read["config"]["url"] == mqtt_url
    assert read["config"]["password"] == "***"
    assert "hidden-password" not in json.dumps(read) + json.dumps(created)
    assert act("UPDATE", linger_ms=30)["config"]["linger_ms"] == 30
    assert act("PAUSE")["status"]["reason"]["kind"] == "ADMIN"
    wait_until(lambda: provider.metric("disabled") == 1, what="the provider saw the pause")
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", [b"while paused"])
    assert consumer.payloads == []
    assert act("UNPAUSE")["status"]["active"] is True
    wait_until(lambda: consumer.payloads == [b"while paused"], what="delivered after the pause")
    assert act("DELETE") == {"status": "deleted", "triggerName": TRIGGER}
    assert act("READ") == {"error": f"trigger {TRIGGER} has no feed here"}
    assert act("DELETE")["status"] == "deleted"


def test_create_twice_replaces(act: Feed, provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str) -> None:
    first = act("CREATE", url=mqtt_url, topics=f"{topic_root}/old", **FAST)
    provider.wait_connected()
    second = act("CREATE", url=mqtt_url, topics=f"{topic_root}/new", **FAST)
    assert second["config"]["client_id"] == first["config"]["client_id"]
    saved = json.dumps([mqtt_url, {f"{topic_root}/new": 1}])
    wait_until(lambda: subscribed(provider).endswith(saved), what="subscription changed")
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/old", [b"old"])
        publish(client, f"{topic_root}/new", [b"new"])
    wait_until(lambda: consumer.payloads == [b"new"], what="only the new topic")


def test_an_update_of_the_way_to_the_broker_keeps_what_waits_there(
    act: Feed, provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    openwhisk.answer = lambda _number: (503, None)
    act("CREATE", url=mqtt_url, topics=topic_root, max_journal_batches=2, max_records=1, **FAST)
    provider.wait_connected()
    sent = [b"%d" % number for number in range(50)]
    with publisher(mqtt_url) as client:
        publish(client, topic_root, sent)
    wait_until(lambda: provider.metric("journal_full") == 1, what="the rest waits in the broker")
    act("UPDATE", url=f"{mqtt_url}/", max_journal_batches=1000)
    openwhisk.answer = lambda _number: (202, None)
    wait_until(lambda: sorted(consumer.payloads) == sorted(sent), timeout_s=300, what="all messages")
    assert provider.metric("sessions_given_up_total") == 0


def keys_of_feeds(client: "redis.Redis") -> set[str]:
    """Every key that is not about the provider itself, its alarms or the counters."""
    kept = (keys.PROVIDERS, keys.FENCES, keys.COUNTERS, keys.COUNTED_AT, keys.lease("alarms"))
    return {key.decode() for key in client.scan_iter() if not key.startswith(keys.counted("").encode())} - set(kept)


def subscribed(provider: Provider) -> str:
    client: Any = redis.Redis.from_url(provider.redis_url)
    return str((client.get(keys.subscribed(keys.registration_id(TRIGGER))) or b"").decode())


def wait_for_more(sent: list[bytes], count: int) -> None:
    before = len(sent)
    wait_until(lambda: len(sent) > before + count, what="stream goes on")


def test_redeploy_in_mid_stream_loses_nothing(
    act: Feed, provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    options = {"url": mqtt_url, "topics": f"{topic_root}/#", **FAST}
    client_id = act("CREATE", **options)["config"]["client_id"]
    provider.wait_connected()
    with stream(mqtt_url, f"{topic_root}/a", rate=1000) as sent:
        for _ in range(3):
            wait_for(consumer, 300)
            act("DELETE")
            wait_for_more(sent, 300)
            assert act("CREATE", **options)["config"]["client_id"] == client_id
        wait_for(consumer, 300)
    assert_exactly_once(consumer, sent)
    assert provider.metric("mqtt_connects_total") == 1


def test_after_the_grace_session_and_journal_are_gone(
    act: Feed, provider: Provider, mqtt_url: str, topic_root: str, redis_client: "redis.Redis"
) -> None:
    act("CREATE", url=mqtt_url, topics=topic_root, grace_s=1, **FAST)
    provider.wait_connected()
    wait_until(lambda: provider.logged("alarms-serving"), what="the alarms' fence")
    act("PAUSE")
    with publisher(mqtt_url) as client:
        publish(client, topic_root, [b"a"])
    wait_until(lambda: provider.metric("acked_total") == 1, what="journalled or spooled")
    act("DELETE")
    wait_until(lambda: '"action": "removed"' in provider.log, what="removed")
    wait_until(lambda: keys_of_feeds(redis_client) == set(), what="nothing of the feed is left")
    assert redis_client.hkeys(keys.FENCES) == [b"*", b"alarms"]
    wait_until(lambda: RedisCounters(redis_client).all().get("feed.dropped.feed-deleted") == 1, what="and told")
    (dropped,) = provider.logged("dropped")
    assert len(dropped["batch_ids"]) == dropped["batches"]
    assert dropped["batches"] + dropped["spooled_pieces"] == 1
    again = act("CREATE", url=mqtt_url, topics=topic_root, grace_s=1, **FAST)
    assert again["status"]["active"] is True


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"topics": "a"}, "parameter 'url' must be given"),
        ({"url": "http://broker", "topics": "a"}, "parameter 'url' must be mqtt://, mqtts://, ws:// or wss:// with a host, got 'http://broker'"),
        ({"url": "mqtt://broker", "topics": "a/#/b"}, "parameter 'topics' must be a topic filter"),
        ({"url": "mqtt://broker", "topics": "a", "qos": 3}, "parameter 'qos' must be a number from 0 to 2, got 3"),
        ({"url": "mqtt://broker", "topics": "a", "linger": 3}, "did you mean 'linger_ms'?"),
    ],
)
def test_bad_parameters_are_named(act: Feed, params: dict[str, Any], message: str) -> None:
    assert message in act("CREATE", **params)["error"]


def test_who_may_not_fire_the_trigger_is_refused(act: Feed, mqtt_url: str) -> None:
    options = {"url": mqtt_url, "topics": "a"}
    assert act("CREATE", authKey="wrong:key", **options) == {"error": f"the key in 'authKey' may not use trigger {TRIGGER}"}
    assert act("CREATE", trigger="/guest/unknown", **options) == {"error": "trigger /guest/unknown does not exist"}
    assert "header X-HoRT-Secret" in act("CREATE", provider_secret="wrong-secret-of-tests", **options)["error"]
    assert act("DELETE", trigger="/guest/unknown")["status"] == "deleted"


def test_update_of_nothing_and_of_the_unknown(act: Feed, mqtt_url: str) -> None:
    assert act("UPDATE", linger_ms=3) == {"error": f"trigger {TRIGGER} has no feed here"}
    act("CREATE", url=mqtt_url, topics="a")
    assert act("UPDATE") == {"error": "no updatable parameters were specified"}
    assert "must be a number from 0 to 60000" in act("UPDATE", linger_ms=-1)["error"]


def test_provider_away(act: Feed) -> None:
    answer = act("CREATE", provider_url="http://127.0.0.1:9", url="mqtt://broker", topics="a")
    assert answer == {"error": "the feed's provider at http://127.0.0.1:9 does not answer: ConnectionError"}


def test_health_metrics_and_list(act: Feed, provider: Provider, mqtt_url: str) -> None:
    act("CREATE", url=mqtt_url, topics="a")
    assert provider.healthy()["ok"] is True
    assert "hort_provider_received_total" in requests.get(f"{provider.url}/metrics", timeout=60).text
    assert requests.get(f"{provider.url}/registrations", timeout=60).status_code == 401
    rows = requests.get(f"{provider.url}/registrations", headers={"X-HoRT-Secret": SECRET}, timeout=60).json()
    assert [row["triggerName"] for row in rows["registrations"]] == [TRIGGER]


def test_secrets_rest_encrypted(act: Feed, provider: Provider, mqtt_url: str, redis_client: "redis.Redis") -> None:
    act("CREATE", url=mqtt_url, topics="a", password="hidden-password")
    stored = repr(redis_client.hgetall(keys.REGISTRATIONS))
    assert "hidden-password" not in stored
    assert AUTH[1] not in stored
