"""A feed that OpenWhisk's refusal switched off: `wsk trigger get` says why, and switched on again it goes on where it stopped."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from prometheus_client.parser import text_string_to_metric_families

from hort.counters import RedisCounters
from hort.dashboard.state import RedisFeeds
from tests.support import tools
from tests.support.engine import Engine
from tests.support.polling import wait_until
from tests.support.provider import SECRET, Provider, publish, publisher
from tests.support.whisk_tool import Tool

KEEP = "def main(args):\n    return {'payloads': [row['payload'] for row in args.get('messages', [])]}\n"
TRIGGER, RULE, ACTION, PACKAGE = "switched", "switched-kept", "switched-keep", "switching"
GONE = "The requested resource does not exist."


@pytest.fixture
def zipped(zips: Path) -> str:
    return base64.b64encode((zips / "mqtt-feed.zip").read_bytes()).decode()


class Feed:
    """A trigger with the feed, driven by wsk; what reached its action."""

    def __init__(self, whisk: Engine, provider: Provider, folder: Path, zipped: str) -> None:
        self.whisk, self.provider = whisk, provider
        self.wsk = Tool(whisk, tools.wsk(), folder)
        bound = [{"key": "provider_url", "value": provider.url}, {"key": "provider_secret", "value": SECRET}]
        self.put(f"packages/{PACKAGE}", {"parameters": bound})
        feed = {"exec": {"kind": "python:3.11", "code": zipped, "binary": True}, "annotations": [{"key": "feed", "value": True}]}
        self.put(f"actions/{PACKAGE}/mqtt", feed)
        self.put(f"actions/{ACTION}", {"exec": {"kind": "python:3.11", "code": KEEP}})

    def put(self, path: str, body: Any) -> None:
        status, answer = self.whisk.call("PUT", f"{path}?overwrite=true", body)
        assert status < 300, answer

    def put_rule(self) -> None:
        """Anew: a rule whose trigger went is inactive."""
        self.whisk.call("DELETE", f"rules/{RULE}")
        self.put(f"rules/{RULE}", {"trigger": f"/_/{TRIGGER}", "action": f"/_/{ACTION}"})

    def read(self) -> Any:
        """What `wsk trigger get` shows of the feed."""
        said = self.wsk(f"trigger get {TRIGGER}")
        return json.loads(said[said.index("{") :])["response"]["result"]

    def act(self, event: str) -> None:
        named = ["-p", "lifecycleEvent", event, "-p", "triggerName", f"/_/{TRIGGER}", "-p", "authKey", self.whisk.auth]
        self.wsk(f"action invoke {PACKAGE}/mqtt -r", *named)

    def arrived(self) -> list[str]:
        status, records = self.whisk.call("GET", f"activations?name={ACTION}&docs=true&limit=200")
        assert status == 200
        return sorted(text for record in records for text in record["response"]["result"]["payloads"])

    def remove(self) -> None:
        for path in (f"rules/{RULE}", f"triggers/{TRIGGER}", f"actions/{PACKAGE}/mqtt", f"packages/{PACKAGE}", f"actions/{ACTION}"):
            self.whisk.call("DELETE", path)


@pytest.fixture
def feed(tmp_path: Path, new_whisk: Any, zipped: str, redis_url: str, redis_client: "redis.Redis") -> Iterator[Feed]:
    del redis_client  # an empty Redis
    whisk = new_whisk("--limits", "raised")
    provider = Provider(tmp_path, redis_url=redis_url, api_host=whisk.apihost)
    feed = Feed(whisk, provider, tmp_path, zipped)
    yield feed
    provider.close()
    feed.remove()


def metrics(provider: Provider) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of a scrape, by Prometheus' own parser."""
    text = requests.get(f"{provider.url}/metrics", timeout=60).text
    rows = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(row.name, frozenset(row.labels.items())): row.value for row in rows}


@pytest.mark.parametrize("how", ["wsk trigger update", "UNPAUSE"])
def test_it_says_why_and_goes_on_where_it_stopped(
    feed: Feed, how: str, mqtt_url: str, topic_root: str, redis_client: "redis.Redis"
) -> None:
    options = {"url": mqtt_url, "topics": f"{topic_root}/#", "delivery": "inline", "linger_ms": "20", "max_fires_per_minute": "600"}
    given = [part for name, value in options.items() for part in ("-p", name, value)]
    feed.wsk(f"trigger create {TRIGGER} --feed {PACKAGE}/mqtt", *given)
    feed.put_rule()
    wait_until(lambda: feed.read()["connected"], interval_s=0.5, what="connected")
    read = feed.read()
    wait_until(lambda: feed.provider.has_subscribed(read["id"], read["config"]), what="subscribed")
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", [b"before"])
        wait_until(lambda: feed.arrived() == ["before"], interval_s=0.5, what="delivered")
        assert feed.whisk.call("DELETE", f"triggers/{TRIGGER}")[0] == 200, "behind the feed's back"
        publish(client, f"{topic_root}/a", [b"refused"])
        wait_until(lambda: '"disabled"' in feed.provider.log, what="switched off")
        publish(client, f"{topic_root}/a", [b"while off 1", b"while off 2"])
    feed.wsk(f"trigger create {TRIGGER} -a feed /guest/{PACKAGE}/mqtt")
    feed.put_rule()

    status = feed.read()["status"]
    assert status["active"] is False
    assert (status["reason"]["kind"], status["reason"]["statusCode"]) == ("AUTO", 404)
    assert status["reason"]["message"].startswith("Automatically disabled after receiving a 404 status code when firing the trigger.")
    assert GONE in status["reason"]["message"]
    assert status["dateChanged"] > 0
    (shown,) = RedisFeeds(redis_client).all(now=0)
    assert (shown["active"], shown["status_code"]) == (False, 404)
    assert GONE in shown["reason"], "the dashboard says it too"

    label = ("registration", f"/guest/{TRIGGER}")
    wait_until(lambda: metrics(feed.provider).get(("hort_provider_disabled", frozenset({label, ("reason", "AUTO")}))) == 1, what="off in a scrape")
    found = metrics(feed.provider)
    assert found["hort_provider_disables_total", frozenset({label, ("status", "404")})] == 1
    assert found["hort_provider_disabled", frozenset({label, ("reason", "AUTO")})] == 1
    wait_until(lambda: RedisCounters(redis_client).all().get("feed.disabled.404") == 1, what="among the suite's counters")
    (refused,) = feed.provider.logged("refused")
    assert refused["batch_id"]

    if how == "UNPAUSE":
        feed.act("UNPAUSE")
    else:
        feed.wsk(f"trigger update {TRIGGER}", "-p", "linger_ms", "30")
    everything = sorted(["before", "refused", "while off 1", "while off 2"])
    wait_until(lambda: feed.arrived() == everything, interval_s=0.5, what="all delivered, once each")
    after = feed.read()["status"]
    assert after["active"] is True
    assert "reason" not in after
    assert after["dateChanged"] >= status["dateChanged"]
    wait_until(lambda: metrics(feed.provider)["hort_provider_disabled", frozenset({label, ("reason", "AUTO")})] == 0, what="on in a scrape, too")


def test_a_scrape_shows_the_suite_s_counters_and_survives_redis(feed: Feed, redis_client: "redis.Redis", stack: Any) -> None:
    RedisCounters(redis_client).add({"dead.ingest.not-json": 3, "window.late": 2, 'odd."name"\n': 1})

    def seen() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        found = metrics(feed.provider)
        return found if found["hort_redis_up", frozenset()] else {}

    found = wait_until(seen, what="a scrape that Redis answered within its second")
    assert found["hort_dead_letters_total", frozenset({("stage", "ingest"), ("reason", "not-json")})] == 3
    assert found["hort_left_out_total", frozenset({("reason", "late")})] == 2
    assert found["hort_other_total", frozenset({("counter", 'odd."name"\n')})] == 1
    stack.stop("redis")
    try:
        found = metrics(feed.provider)
        assert found["hort_redis_up", frozenset()] == 0
        assert ("hort_provider_registrations_unreadable", frozenset()) in found
    finally:
        stack.start("redis")
