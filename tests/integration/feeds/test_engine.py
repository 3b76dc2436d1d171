"""The built feed actions, the provider and a real engine together, driven as clients drive them."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from hort.journal import RedisJournal
from tests.support.engine import Engine
from tests.support.polling import wait_until
from tests.support.provider import SECRET, Provider, publish, publisher

KEEP = "def main(args):\n    return {'payloads': [row['payload'] for row in args.get('messages', [])], 'x': args.get('x')}\n"
FAST = {"max_fires_per_minute": 600, "linger_ms": 20}


@pytest.fixture
def provider(
    tmp_path: Path, whisk: Engine, zips: Path, redis_client: "redis.Redis", redis_url: str
) -> Iterator[Provider]:
    provider = Provider(tmp_path, redis_url=redis_url, api_host=whisk.apihost)
    bound = [{"key": "provider_url", "value": provider.url}, {"key": "provider_secret", "value": SECRET}]
    for package, actions in (("hort", {"mqtt": "mqtt-feed"}), ("clock", {"alarm": "alarms-feed"})):
        done(whisk.call("PUT", f"packages/{package}?overwrite=true", {"parameters": bound}))
        for name, zipped in actions.items():
            code = base64.b64encode((zips / f"{zipped}.zip").read_bytes()).decode()
            body = {"exec": {"kind": "python:3.11", "code": code, "binary": True}, "annotations": [{"key": "feed", "value": True}]}
            done(whisk.call("PUT", f"actions/{package}/{name}?overwrite=true", body))
    done(whisk.call("PUT", "actions/keep?overwrite=true", {"exec": {"kind": "python:3.11", "code": KEEP}}))
    done(whisk.call("PUT", "triggers/devices?overwrite=true", {}))
    yield provider
    provider.close()
    for path in ("rules/devices-keep", "triggers/devices", "actions/clock/alarm", "packages/clock"):
        whisk.call("DELETE", path)


def done(answer: tuple[int, Any]) -> Any:
    status, body = answer
    assert status < 300, body
    return body


@pytest.fixture
def act(whisk: Engine) -> Callable[..., tuple[int, Any]]:
    def call(feed: str, event: str, **params: Any) -> tuple[int, Any]:
        body = {"lifecycleEvent": event, "triggerName": "/_/devices", "authKey": whisk.auth, **params}
        return whisk.call("POST", f"actions/{feed}?blocking=true&result=true", body)

    return call


def results(whisk: Engine) -> list[dict[str, Any]]:
    records = done(whisk.call("GET", "activations?name=keep&docs=true&limit=200"))
    return [record["response"]["result"] for record in records]


def test_messages_reach_an_action_of_anyone_s(
    whisk: Engine, provider: Provider, act: Callable[..., Any], mqtt_url: str, topic_root: str, redis_client: "redis.Redis"
) -> None:
    created = done(act("hort/mqtt", "CREATE", url=mqtt_url, topics=f"{topic_root}/#", delivery="inline", **FAST))
    assert created["triggerName"] == "/guest/devices"
    wait_until(lambda: done(act("hort/mqtt", "READ"))["connected"], what="connected")
    wait_until(lambda: provider.has_subscribed(created["id"], created["config"]), what="subscribed")
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", [b"before the rule"])
    wait_until(lambda: "reason" in done(act("hort/mqtt", "READ"))["status"], what="held: no rule yet")
    done(whisk.call("PUT", "rules/devices-keep", {"trigger": "/_/devices", "action": "/_/keep"}))
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", [b"after the rule"])
    wanted = {"before the rule", "after the rule"}
    wait_until(
        lambda: wanted == {text for result in results(whisk) for text in result.get("payloads", ())}, what="delivered"
    )
    journal = f"hort:{{0}}:journal:{created['id']}"
    wait_until(lambda: RedisJournal(redis_client).size(journal) == 0, what="rules seen to have started")
    assert provider.metric("refires_total") == 0
    assert done(act("hort/mqtt", "DELETE"))["status"] == "deleted"


def test_a_refusal_fails_the_client_s_command(act: Callable[..., Any], provider: Provider) -> None:
    status, body = act("hort/mqtt", "CREATE", url="mqtt://broker", topics="a/#/b")
    assert status == 502
    assert body == {"error": "parameter 'topics' must be a topic filter: + is a whole level, # is the last one, got 'a/#/b'"}
    status, body = act("hort/mqtt", "CREATE", url="mqtt://broker", topics="a", triggerName="/_/nowhere")
    assert (status, body) == (502, {"error": "trigger /guest/nowhere does not exist"})


def test_alarms_fire_by_the_clock(whisk: Engine, provider: Provider, act: Callable[..., Any]) -> None:
    done(whisk.call("PUT", "rules/devices-keep", {"trigger": "/_/devices", "action": "/_/keep"}))
    assert done(act("clock/alarm", "CREATE", cron="* * * * * *", trigger_payload={"x": "alarm"})) == {"status": "success"}
    wait_until(lambda: [row for row in results(whisk) if row.get("x") == "alarm"], what="fired")
    assert done(act("clock/alarm", "READ"))["status"]["active"] is True
    assert done(act("clock/alarm", "DELETE")) == {"status": "success"}
