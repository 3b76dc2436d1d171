"""Records with which an action's process ends or hangs, in a batch of 20,000: real engine under stock limits, provider, Redis and Elasticsearch."""

import base64
import io
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from elasticsearch import ApiError, Elasticsearch

from hort import batch, clock, keys
from hort.batch import Message, Messages, Reference
from hort.counters import RedisCounters
from hort.journal import RedisJournal
from tests.support.engine import Engine
from tests.support.polling import wait_until
from tests.support.provider import Provider

TRIGGER = "/guest/devices"
COUNT, FEW = 20_000, 1_000
ONE, THREE = (13_333,), (7, 13_333, 19_999)
ACTIONS = ("ingest", "window", "score", "sink")
QUICK = "hort.watchdog.LIMIT_S, hort.watchdog.PART_S = 2.0, 0.5\n"
"""A hang is over sooner; all else is as it is."""
HEAD = """
import os, signal, time
import hort.watchdog
def ends(poisoned):
    held = []
    while poisoned:
        HOW
def poison(content):
    return any(b'"n":%d}' % number in content for number in POISON)
"""
HOW = {
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "spins": "pass",
    "sleeps": "time.sleep(60)",
    "fills its memory": "held.append(bytearray(os.urandom(1 << 20)))",
}
WHERE = {
    "ingest": """
import hort.ingest
from hort.ingest import decode
def deadly(messages, *arguments, **options):
    ends(poison(b"".join(messages.payloads)))
    return decode(messages, *arguments, **options)
hort.ingest.decode = deadly
""",
    "window": """
import hort.window, numpy
from hort.window import reduce
def deadly(batch, keep, **options):
    ends(any(numpy.isin(columns.values[keep[columns.rows]], POISON).any() for columns in batch.columns))
    return reduce(batch, keep, **options)
hort.window.reduce = deadly
""",
    "score": """
from hort.score import Scorer
scores = Scorer.score
def deadly(self, records, *arguments, **options):
    ends(poison(b"".join(records.data)))
    return scores(self, records, *arguments, **options)
Scorer.score = deadly
""",
    "sink": """
from hort.bulk_writer import BulkWriter
write = BulkWriter.write
def deadly(self, index, documents):
    documents = list(documents)
    ends(index.endswith("events") and poison(b"".join(line for pair in documents for line in pair)))
    return write(self, index, documents)
BulkWriter.write = deadly
""",
}


def spoilt(step: str, how: str, numbers: Sequence[int], *, quick: bool) -> str:
    """What makes an action end so at records with these numbers."""
    return HEAD.replace("HOW", HOW[how]) + f"POISON = {list(numbers)}\n" + (QUICK if quick else "") + WHERE[step]


def zipped(zips: Path, name: str, before: str = "") -> str:
    """An action's zip in base64; `before` runs first in its process."""
    out = io.BytesIO()
    with zipfile.ZipFile(zips / f"{name}.zip") as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            content = source.read(item)
            if item.filename == "__main__.py" and before:
                head = b"from __future__ import annotations\n"
                content = head + before.encode() + content.replace(head, b"")
            target.writestr(item, content)
    return base64.b64encode(out.getvalue()).decode()


def done(answer: tuple[int, Any]) -> Any:
    status, body = answer
    assert status < 300, body
    return body


@pytest.fixture
def deployed(zips: Path, new_whisk: Callable[..., Engine], redis_url: str, elasticsearch_url: str) -> Callable[[Mapping[str, str]], Engine]:
    def deploy(before: Mapping[str, str]) -> Engine:
        whisk = new_whisk("--limits", "stock")
        params = {"redis_url": redis_url, "elasticsearch_url": elasticsearch_url, "index_prefix": "test-"}
        bound = [{"key": key, "value": value} for key, value in params.items()]
        for name in ACTIONS:
            code = zipped(zips, name, before.get(name, ""))
            limits = {"timeout": 60_000, "memory": 256}
            done(whisk.call("PUT", f"actions/{name}", {"exec": {"kind": "python:3.11", "code": code, "binary": True}, "parameters": bound, "limits": limits}))
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
        started.append(Provider(tmp_path, redis_url=redis_url, api_host=whisk.apihost, name=f"provider-{len(started)}"))
        return started[-1]

    yield provider
    for one in started:
        one.close()


def register(provider: Provider, whisk: Engine, **params: str) -> None:
    name, _, key = whisk.auth.partition(":")
    answer = provider.call("POST", {"params": params}, trigger=TRIGGER, auth=(name, key))
    assert answer.status_code == 200, answer.text


def put(client: "redis.Redis", count: int = COUNT) -> Reference:
    """The batch, as a fleet's records come."""
    registration, now = keys.registration_id(TRIGGER), clock.now_ms()
    reference = Reference(batch.new_id(registration, 0, now), keys.journal(0, registration))
    rows = [Message(f"iot-2/type/bike/id/{number % 100}/evt/s/fmt/json", b'{"n":%d}' % number, now) for number in range(count)]
    RedisJournal(client).put(reference, batch.pack(Messages.of(rows)), trigger=TRIGGER, count=count, now=now)
    return reference


def count(search: Elasticsearch, index: str) -> int:
    """How many there are; none that are known while the index is being made."""
    try:
        search.indices.refresh(index=index, ignore_unavailable=True)
        return int(search.count(index=index, ignore_unavailable=True)["count"])
    except ApiError as error:
        if error.status_code == 503:
            return 0
        raise


SLOW = [pytest.mark.slow(60)]
LONG = [pytest.mark.slow(180), pytest.mark.timeout(1_200), pytest.mark.long("each way to end in each action, at the limits that hold")]


@pytest.mark.parametrize(
    ("step", "how", "numbers", "few"),
    [
        *(pytest.param(step, "is killed", (333,), True, marks=SLOW) for step in ("ingest", "sink")),
        *(pytest.param(step, how, ONE, False, marks=LONG) for step in ACTIONS for how in HOW),
        *(pytest.param(step, how, THREE, False, marks=LONG) for step in ACTIONS for how in HOW),
    ],
)
def test_its_neighbours_are_stored(
    step: str,
    how: str,
    numbers: Sequence[int],
    few: bool,
    deployed: Callable[[Mapping[str, str]], Engine],
    start: Callable[[Engine], Provider],
    redis_client: "redis.Redis",
    elasticsearch_client: Elasticsearch,
    mqtt_url: str,
    topic_root: str,
) -> None:
    whisk, total = deployed({step: spoilt(step, how, numbers, quick=few)}), FEW if few else COUNT
    provider = start(whisk)
    register(provider, whisk, url=mqtt_url, topics=topic_root)
    reference, began = put(redis_client, total), time.monotonic()
    index = "test-all-events"
    neighbours = total - len(numbers)
    wait_until(lambda: count(elasticsearch_client, index) >= neighbours, timeout_s=300, what="all neighbours stored")
    fires = provider.metric("fires_total")
    print(f"{step} {how} at {len(numbers)}: neighbours stored after {time.monotonic() - began:.0f} s and {fires:g} fires")
    assert fires <= 12 + 8 * len(numbers), "at 45 a minute, with seconds after each death, that is within a minute"
    if step in ("ingest", "sink"):
        journal = RedisJournal(redis_client)
        if step == "sink" and len(numbers) == 1:
            wait_until(lambda: journal.size(reference.journal) == 0, timeout_s=300, what="the record buried")
        if step == "ingest":
            wait_until(lambda: journal.size(reference.journal) == 0, timeout_s=600, what="the record buried")
        elif len(numbers) > 1:
            return
        elasticsearch_client.indices.refresh(index="test-dead-letters")
        letters = elasticsearch_client.search(index="test-dead-letters")["hits"]["hits"]
        names = [f"{reference.batch_id}.{at}-ingest" if step == "ingest" else f"all-events/{reference.batch_id}.{at}-sink" for at in numbers]
        assert sorted(letter["_id"] for letter in letters) == sorted(names)
        assert {letter["_source"]["reason"] for letter in letters} == {"unprocessable"}
        assert count(elasticsearch_client, index) == neighbours


@pytest.mark.slow(120)
@pytest.mark.timeout(1_800)
@pytest.mark.long("what is killed in the midst is tried in memory with many draws")
@pytest.mark.parametrize("step", ["ingest", "sink"])
def test_engine_and_provider_are_killed_in_its_midst(
    step: str,
    deployed: Callable[[Mapping[str, str]], Engine],
    start: Callable[[Engine], Provider],
    redis_client: "redis.Redis",
    elasticsearch_client: Elasticsearch,
    mqtt_url: str,
    topic_root: str,
) -> None:
    whisk = deployed({step: spoilt(step, "is killed", THREE, quick=True)})
    provider = start(whisk)
    register(provider, whisk, url=mqtt_url, topics=topic_root)
    reference = put(redis_client)
    fired = 0
    for kill_engine in (False, True, False, True):
        wait_until(lambda: provider.metric("fires_total") >= 2, timeout_s=300, what="in its midst")  # noqa: B023 - asked at once
        fired += 2
        provider.kill()
        if kill_engine:
            whisk.kill()
            whisk.start()
        provider = start(whisk)
        if kill_engine:
            register(provider, whisk, url=mqtt_url, topics=topic_root)  # it has another port now
    neighbours = COUNT - len(THREE)
    wait_until(lambda: count(elasticsearch_client, "test-all-events") >= neighbours, timeout_s=300, what="all neighbours stored")
    journal = RedisJournal(redis_client)
    wait_until(lambda: journal.size(reference.journal) == 0, timeout_s=600, what="the records buried")
    assert count(elasticsearch_client, "test-all-events") == neighbours
    assert count(elasticsearch_client, "test-dead-letters") == len(THREE)
    assert fired + provider.metric("fires_total") <= 60
    found = RedisCounters(redis_client).all()
    assert (found["ingest.messages"], found["window.records"]) == (COUNT, COUNT - len(THREE) * (step == "ingest"))
