"""A record that kills an action's process, in a batch of 20,000: real engine under stock limits, provider, Redis and Elasticsearch."""

import base64
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from elasticsearch import Elasticsearch

from hort import batch, clock, keys
from hort.batch import Message, Messages, Reference
from hort.journal import RedisJournal
from tests.support.engine import Engine
from tests.support.polling import wait_until
from tests.support.provider import Provider

TRIGGER = "/guest/devices"
COUNT, POISON = 20_000, 13_333
ACTIONS = ("ingest", "window", "score", "sink")
DEADLY = {
    "ingest": """
import hort.ingest
from hort.ingest import decode
def deadly(messages, *arguments, **options):
    if any(payload == b'{"n": 13333}' for payload in messages.payloads):
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(messages, *arguments, **options)
hort.ingest.decode = deadly
""",
    "window": """
import hort.window
from hort.window import reduce
def deadly(batch, keep, **options):
    if any((columns.values[keep[columns.rows]] == 13333).any() for columns in batch.columns):
        os.kill(os.getpid(), signal.SIGKILL)
    return reduce(batch, keep, **options)
hort.window.reduce = deadly
""",
}


def zipped(zips: Path, name: str, before: str = "") -> str:
    """An action's zip in base64; `before` runs first in its process."""
    out = io.BytesIO()
    with zipfile.ZipFile(zips / f"{name}.zip") as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            content = source.read(item)
            if item.filename == "__main__.py" and before:
                head = b"from __future__ import annotations\n"
                content = head + b"import os, signal\n" + before.encode() + content.replace(head, b"")
            target.writestr(item, content)
    return base64.b64encode(out.getvalue()).decode()


def done(answer: tuple[int, Any]) -> Any:
    status, body = answer
    assert status < 300, body
    return body


@pytest.fixture
def deployed(zips: Path, new_whisk: Callable[..., Engine], redis_url: str, elasticsearch_url: str) -> Callable[[str], Engine]:
    def deploy(step: str) -> Engine:
        whisk = new_whisk("--limits", "stock")
        params = {"redis_url": redis_url, "elasticsearch_url": elasticsearch_url, "index_prefix": "test-"}
        bound = [{"key": key, "value": value} for key, value in params.items()]
        for name in ACTIONS:
            code = zipped(zips, name, DEADLY[name] if name == step else "")
            done(whisk.call("PUT", f"actions/{name}", {"exec": {"kind": "python:3.11", "code": code, "binary": True}, "parameters": bound}))
        components = [f"/_/{name}" for name in ACTIONS]
        done(whisk.call("PUT", "actions/stream", {"exec": {"kind": "sequence", "components": components}}))
        done(whisk.call("PUT", "triggers/devices", {}))
        done(whisk.call("PUT", "rules/devices-stream", {"trigger": "/_/devices", "action": "/_/stream"}))
        return whisk

    return deploy


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Callable[[Engine], Provider]]:
    started: list[Provider] = []

    def provider(whisk: Engine) -> Provider:
        started.append(Provider(tmp_path, redis_url=redis_url, api_host=whisk.apihost))
        return started[-1]

    yield provider
    for one in started:
        one.close()


def put(client: "redis.Redis") -> Reference:
    """The batch, with another one behind it, as a fleet's records come."""
    registration, now = keys.registration_id(TRIGGER), clock.now_ms()
    reference = Reference(batch.new_id(registration, 0, now), keys.journal(0, registration))
    rows = [Message(f"iot-2/type/bike/id/{number % 100}/evt/s/fmt/json", b'{"n": %d}' % number, now) for number in range(COUNT)]
    RedisJournal(client).put(reference, batch.pack(Messages.of(rows)), trigger=TRIGGER, count=COUNT, now=now)
    return reference


def count(search: Elasticsearch, index: str) -> int:
    search.indices.refresh(index=index, ignore_unavailable=True)
    return int(search.count(index=index, ignore_unavailable=True)["count"])


@pytest.mark.slow(60)
@pytest.mark.parametrize("step", ["ingest", "window"])
def test_its_neighbours_are_stored(
    step: str,
    deployed: Callable[[str], Engine],
    start: Callable[[Engine], Provider],
    redis_client: "redis.Redis",
    elasticsearch_client: Elasticsearch,
    mqtt_url: str,
    topic_root: str,
) -> None:
    whisk = deployed(step)
    provider = start(whisk)
    auth = tuple(whisk.auth.split(":", 1))
    answer = provider.call("POST", {"params": {"url": mqtt_url, "topics": topic_root}}, trigger=TRIGGER, auth=(auth[0], auth[1]))
    assert answer.status_code == 200, answer.text
    reference = put(redis_client)
    index = "test-all-events"
    wait_until(lambda: count(elasticsearch_client, index) >= COUNT - 1, timeout_s=300, what="all neighbours stored")
    fires = provider.metric("fires_total")
    assert fires <= 20, "at 45 a minute, with seconds after each death, that is within a minute"
    if step == "ingest":
        journal = RedisJournal(redis_client)
        wait_until(lambda: journal.size(reference.journal) == 0, timeout_s=300, what="the record buried")
        elasticsearch_client.indices.refresh(index="test-dead-letters")
        (letter,) = elasticsearch_client.search(index="test-dead-letters")["hits"]["hits"]
        assert (letter["_id"], letter["_source"]["reason"]) == (f"{reference.batch_id}.{POISON}-ingest", "unprocessable")
        assert count(elasticsearch_client, index) == COUNT - 1
