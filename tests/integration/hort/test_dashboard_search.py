"""The dashboard's searches on a real Elasticsearch with the real templates."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
import redis
from elasticsearch import Elasticsearch

from hort import batch, clock, documents, indices, keys
from hort.batch import Reference
from hort.counters import RedisCounters
from hort.dashboard.web import answer as dashboard
from hort.elastic import ElasticStore
from hort.journal import RedisJournal
from hort.schema import NUMERIC
from tests.support.actions import raw_request
from tests.support.dashboard import FOLDER, HOSTILE, analytics

SLIDE_MS = 15_000
FIELDS = ("bikes", "flow.rate")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that a busy machine did not end in the dashboard's few seconds is an error, and no test of what it finds."""
    monkeypatch.setattr("hort.dashboard.queries.SEARCH_TIMEOUT", "60s")
    monkeypatch.setattr("hort.dashboard.search.REQUEST_TIMEOUT_S", 90.0)


@pytest.fixture
def elastic(elasticsearch_client: Elasticsearch) -> Elasticsearch:
    indices.ensure(ElasticStore(elasticsearch_client), brought={documents.ANALYTICS: {"divvy": dict.fromkeys(FIELDS, NUMERIC)}})
    return elasticsearch_client


def store(client: Elasticsearch, index: str, rows: list[dict[str, Any]]) -> None:
    operations: list[dict[str, Any]] = []
    for row in rows:
        operations += [{"index": {}}, row]
    answer = client.bulk(index=index, operations=operations, refresh=True)
    assert not answer["errors"], answer


def data(elasticsearch_url: str, redis_url: str, **query: str) -> dict[str, Any]:
    args = raw_request(path="/data", query=urlencode(query), elasticsearch_url=elasticsearch_url, redis_url=redis_url)
    found = dashboard(args, folder=FOLDER)
    assert found["statusCode"] == 200, found
    body: dict[str, Any] = found["body"]
    return body


def fill(client: Elasticsearch, now: int, devices: list[str]) -> None:
    windows, events, results = [], [], []
    for age in range(20):
        end = (now // SLIDE_MS - age) * SLIDE_MS
        for number, device in enumerate(devices):
            values = {"bikes": 10.0 + number * (age % 2), "flow.rate": 1.0}
            windows.append(analytics(level="device", device_id=device, end=end, values=values))
        windows.append(
            analytics(level="device_type", device_id=None, end=end, values={"bikes": 12.0, "flow.rate": 1.0})
        )
    for number, device in enumerate(devices):
        head = {
            "device_type": "divvy",
            "device_id": device,
            "event": "status",
            "@timestamp": clock.iso(now - 5000 - number),
        }
        events.append(
            {"record_id": device, **head, "data": {"name": f"Station {number}", "bikes": 3, "open": True}}
        )
        state = "danger-high" if number == 1 else "all-is-well"
        result = {
            "status": state,
            "fields": {"bikes": {"status": state, "value": 3.0, "avg": 1.0, "std": 0.5}},
        }
        results.append(
            {**head, "model": "anomaly", "status": "ok", "latency_ms": 4.0 + number, "result": result}
        )
        results.append({**head, "model": "broken", "status": "timeout", "latency_ms": 2000.0, "result": {}})
    store(client, documents.ANALYTICS, windows)
    store(client, documents.ALL_EVENTS, events)
    store(client, documents.MODEL_RESULTS, results)


def test_indices_that_are_not_there_yet_are_no_error(
    elasticsearch_client: Elasticsearch, elasticsearch_url: str, redis_url: str, redis_client: "redis.Redis"
) -> None:
    answer = data(elasticsearch_url, redis_url, type="divvy", field="bikes")
    assert answer["errors"] == {}
    assert answer["streams"] == []
    assert answer["lines"]["devices"] == []


def test_empty_indices_with_templates_are_no_error(
    elastic: Elasticsearch, elasticsearch_url: str, redis_url: str, redis_client: "redis.Redis"
) -> None:
    for index in (
        documents.ANALYTICS,
        documents.ALL_EVENTS,
        documents.MODEL_RESULTS,
        documents.ALARMS,
        documents.DEAD_LETTERS,
    ):
        elastic.indices.create(index=index)
    answer = data(elasticsearch_url, redis_url, type="divvy", field="bikes")
    assert answer["errors"] == {}
    assert answer["anomalies"] == {"total": 0, "rows": [], "devices": []}


def test_a_closed_index_is_not_known(
    elastic: Elasticsearch, elasticsearch_url: str, redis_url: str, redis_client: "redis.Redis"
) -> None:
    elastic.indices.create(index=documents.DEAD_LETTERS)
    elastic.indices.close(index=documents.DEAD_LETTERS)
    try:
        answer = data(elasticsearch_url, redis_url)
    finally:
        elastic.indices.delete(index=documents.DEAD_LETTERS)
    assert answer["dead_letters"] is None, "it was shown as 0"
    assert list(answer["errors"]) == ["dead"]
    assert answer["alarms"] == [], "an index that is not there yet holds nothing, and that is known"


def test_a_part_of_the_shards_is_not_the_whole(
    elastic: Elasticsearch, elasticsearch_url: str, redis_url: str, redis_client: "redis.Redis"
) -> None:
    alias: dict[str, Any] = {documents.DEAD_LETTERS: {}}
    nowhere = {"index.routing.allocation.require._name": "nobody", "index.number_of_replicas": 0}
    elastic.indices.create(index="older-letters", aliases=alias, settings=nowhere, wait_for_active_shards=0)
    elastic.indices.create(index="newer-letters", aliases=alias)
    try:
        answer = data(elasticsearch_url, redis_url)
    finally:
        elastic.indices.delete(index="older-letters,newer-letters")
    assert answer["dead_letters"] is None, "the one that answers holds 0"
    assert answer["errors"] == {"dead": "1 of 2 shards do not answer"}


def test_a_stream_is_found_with_its_defaults(
    elastic: Elasticsearch, elasticsearch_url: str, redis_url: str, redis_client: "redis.Redis"
) -> None:
    now = clock.now_ms()
    fill(elastic, now, ["calm", "lively", HOSTILE, "a_b|c/d+e ü"])
    answer = data(elasticsearch_url, redis_url)
    assert answer["errors"] == {}
    assert answer["streams"] == [
        {"type": "divvy", "events": ["status"], "devices": 4, "fields": ["bikes", "flow.rate"]}
    ]
    assert answer["view"]["field"] == "bikes"
    devices = answer["lines"]["devices"]
    assert [device["id"] for device in devices] == ["a_b|c/d+e ü", HOSTILE, "lively", "calm"]
    assert devices[0]["record"]["name"] == "Station 3"
    assert devices[0]["last"]["fields"]["bikes"]["n"] == 3
    assert len(answer["lines"]["times"]) == 20
    assert sorted(set(devices[2]["values"])) == [10.0, 11.0]
    assert answer["anomalies"]["total"] == 1
    assert answer["anomalies"]["rows"][0]["findings"] == [
        {"field": "bikes", "state": "danger-high", "value": 3.0, "avg": 1.0, "std": 0.5}
    ]
    assert answer["models"]["broken"]["statuses"] == {"timeout": 4}
    assert 4.0 <= answer["models"]["anomaly"]["p50_ms"] <= 7.0


def test_chosen_devices_and_a_dotted_field(
    elastic: Elasticsearch, elasticsearch_url: str, redis_url: str, redis_client: "redis.Redis"
) -> None:
    fill(elastic, clock.now_ms(), ["1", "2", "3"])
    chosen = {"type": "divvy", "field": "flow.rate", "stat": "max", "devices": json.dumps(["3", "nobody"])}
    answer = data(elasticsearch_url, redis_url, **chosen)
    assert [device["id"] for device in answer["lines"]["devices"]] == ["3"]
    assert set(answer["lines"]["devices"][0]["values"]) == {1.7}
    assert answer["lines"]["ids"] == ["1", "2", "3"]


@pytest.mark.parametrize("minutes", ["5", "60", "360", "1440"])
def test_every_range_can_be_searched(
    elastic: Elasticsearch, elasticsearch_url: str, redis_url: str, redis_client: "redis.Redis", minutes: str
) -> None:
    fill(elastic, clock.now_ms(), ["1"])
    answer = data(elasticsearch_url, redis_url, minutes=minutes)
    assert answer["errors"] == {}
    assert answer["lines"]["times"]
    assert sum(answer["rate"]["values"]) >= 0


def test_alarms_and_dead_letters_are_shown_without_payloads(
    elastic: Elasticsearch, elasticsearch_url: str, redis_url: str, redis_client: "redis.Redis"
) -> None:
    now = clock.now_ms()
    store(
        elastic,
        documents.ALARMS,
        [
            {
                "@timestamp": clock.iso(now - 9),
                "alarm": "silent",
                "device_type": "divvy",
                "device_id": "5",
                "event": "status",
            }
        ],
    )
    letter = {
        "stage": "ingest",
        "reason": "not-json",
        "detail": "x",
        "topic": "t",
        "payload_base64": "c2VjcmV0",
        "payload_bytes": 6,
    }
    store(
        elastic, documents.DEAD_LETTERS, [{"@timestamp": clock.iso(now - at), **letter} for at in range(20)]
    )
    answer = data(elasticsearch_url, redis_url)
    assert answer["alarms"][0]["kind"] == "silent"
    assert answer["dead_letters"]["total"] == 20
    assert answer["dead_letters"]["reasons"] == [{"reason": "not-json", "stages": ["ingest"], "count": 20}]
    assert "c2VjcmV0" not in json.dumps(answer)


def test_counters_and_journals_come_from_redis(
    elasticsearch_client: Elasticsearch, elasticsearch_url: str, redis_url: str, redis_client: "redis.Redis"
) -> None:
    RedisCounters(redis_client).add({"ingest.records": 5})
    registration, other = keys.registration_id("/guest/device-events"), keys.registration_id("/guest/gone")
    known = {
        "trigger": "/guest/device-events",
        "active": False,
        "reason": {"message": "HTTP 404"},
        "sealed": "s3cret",
    }
    redis_client.hset(keys.REGISTRATIONS, registration, json.dumps(known))
    redis_client.hset(keys.REGISTRATIONS, other, json.dumps({"trigger": "/guest/gone", "deleted_at": 5}))
    redis_client.set(
        keys.runtime(registration), json.dumps({"connected": True, "problem": "", "fires": 7, "refires": 1})
    )
    journal = RedisJournal(redis_client)
    for created in (4000, 3000):
        reference = Reference(batch.new_id(registration, 0, created), keys.journal(0, registration))
        journal.put(reference, b"x" * 10, trigger="/guest/device-events", count=1, now=created)
    answer = data(elasticsearch_url, redis_url)
    assert answer["counters"] == {"ingest.records": 5}
    (feed,) = answer["feeds"]
    assert (feed["trigger"], feed["active"], feed["reason"]) == ("/guest/device-events", False, "HTTP 404")
    assert (feed["connected"], feed["fires"], feed["refires"]) == (True, 7, 1)
    assert (feed["batches"], feed["bytes"], feed["oldest_ms"]) == (2, 20, 3000)
    assert "s3cret" not in json.dumps(answer)
