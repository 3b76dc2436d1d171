"""Elasticsearch's refusals, injected before the real one, as its client and the suite's own store see them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from elasticsearch import ApiError, Elasticsearch

from campaign.proxy import Network
from campaign.rejections import ElasticsearchProxy
from hort import elastic
from hort.document_store import StoreBusy
from tests.support.sockets import resets_who_comes

INDEX = "test-rejections"


@pytest.fixture
def proxy(elasticsearch_client: Elasticsearch, elasticsearch_url: str) -> Iterator[ElasticsearchProxy]:
    made = ElasticsearchProxy(elasticsearch_url, seed=1)
    yield made
    made.close()
    elasticsearch_client.options(ignore_status=404).indices.delete(index=INDEX)


@pytest.fixture
def client(proxy: ElasticsearchProxy) -> Iterator[Elasticsearch]:
    with Elasticsearch(proxy.url, max_retries=0, request_timeout=60) as made:
        yield made


@pytest.fixture
def count(elasticsearch_client: Elasticsearch) -> Callable[[], int]:
    def documents() -> int:
        elasticsearch_client.indices.refresh(index=INDEX, ignore_unavailable=True)
        return int(elasticsearch_client.count(index=INDEX, ignore_unavailable=True)["count"])

    return documents


def body(numbers: range, *, text: str = "") -> bytes:
    lines = [
        json.dumps({"index": {"_id": f"id-{number}"}}) + "\n" + json.dumps({"n": number, "t": text}) + "\n"
        for number in numbers
    ]
    return "".join(lines).encode()


def send(client: Elasticsearch, content: bytes) -> dict[str, Any]:
    headers = {"accept": "application/json", "content-type": "application/x-ndjson"}
    found: dict[str, Any] = client.perform_request(
        "POST", f"/{INDEX}/_bulk", headers=headers, body=content
    ).body
    return found


def post(proxy: ElasticsearchProxy, content: bytes, **options: Any) -> dict[str, Any]:
    headers = {"Content-Type": "application/x-ndjson", **options.pop("headers", {})}
    answer = requests.post(
        f"{proxy.url}/{INDEX}/_bulk", data=content, headers=headers, timeout=60, **options
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_untouched_the_client_works_as_without_a_proxy(
    proxy: ElasticsearchProxy, client: Elasticsearch, count: Callable[[], int]
) -> None:
    assert client.cluster.health()["number_of_nodes"] == 1
    send(client, body(range(50), text="x" * 160_000))  # 8 MB
    assert count() == 50
    assert client.exists(index=INDEX, id="id-7")
    assert not client.exists(index=INDEX, id="id-50")
    found = client.search(index=INDEX, size=50)  # longer than one read, chunked by Elasticsearch
    assert len(found["hits"]["hits"]) == 50
    assert proxy.counts == {"requests": 5}


@pytest.mark.parametrize(("status", "kind"), [(429, "es_rejected_execution"), (503, "cluster_block")])
def test_a_refused_request_never_reaches_elasticsearch(
    proxy: ElasticsearchProxy, client: Elasticsearch, count: Callable[[], int], status: Any, kind: str
) -> None:
    proxy.answer(status)
    with pytest.raises(ApiError, match=kind) as caught:
        send(client, body(range(3)))
    assert caught.value.status_code == status
    assert caught.value.body["status"] == status
    assert caught.value.meta.headers.get("retry-after") == ("1" if status == 429 else None)
    assert count() == 0
    assert proxy.counts == {"requests": 1, str(status): 1}
    proxy.heal()
    assert not send(client, body(range(3)))["errors"]


def test_a_share_of_requests_is_refused(proxy: ElasticsearchProxy) -> None:
    proxy.answer(503, share=0.5)
    statuses = [requests.get(f"{proxy.url}/_cluster/health", timeout=60).status_code for _ in range(60)]
    assert {200, 503} == set(statuses)
    assert proxy.counts == {"requests": 60, "503": statuses.count(503)}


def test_a_lost_answer_has_had_its_effect(
    proxy: ElasticsearchProxy, client: Elasticsearch, count: Callable[[], int]
) -> None:
    proxy.lose_answers()
    with pytest.raises(ApiError):
        send(client, body(range(3)))
    assert count() == 3
    assert proxy.counts == {"requests": 1, "lost": 1}


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "es_rejected_execution_exception"), (503, "unavailable_shards_exception")]
)
def test_refused_items_are_missing_and_named_at_their_places(
    proxy: ElasticsearchProxy, elasticsearch_client: Elasticsearch, status: Any, kind: str
) -> None:
    proxy.reject_items(0.4, status=status)
    answer = post(proxy, body(range(100)))
    assert answer["errors"] is True
    entries = [item["index"] for item in answer["items"]]
    assert [entry["_id"] for entry in entries] == [f"id-{number}" for number in range(100)]
    assert {entry["_index"] for entry in entries} == {INDEX}
    refused = {entry["_id"] for entry in entries if entry["status"] == status}
    assert 10 < len(refused) < 90
    assert {entry["error"]["type"] for entry in entries if "error" in entry} == {kind}
    elasticsearch_client.indices.refresh(index=INDEX)
    hits = elasticsearch_client.search(index=INDEX, size=100)["hits"]["hits"]
    assert {hit["_id"] for hit in hits} == {entry["_id"] for entry in entries} - refused
    assert proxy.counts == {"requests": 1, "bulks": 1, f"items {status}": len(refused)}


def test_all_items_may_be_refused(proxy: ElasticsearchProxy, count: Callable[[], int]) -> None:
    proxy.reject_items(1.0)
    answer = post(proxy, body(range(5)))
    assert [item["index"]["status"] for item in answer["items"]] == [429] * 5
    assert count() == 0


def test_own_errors_of_elasticsearch_stay_at_their_places(proxy: ElasticsearchProxy) -> None:
    post(proxy, body(range(1)))
    proxy.reject_items(0.5)
    lines = "".join(
        f'{{"{"create" if number % 2 else "delete"}": {{"_id": "id-{number // 2 * 2}"}}}}\n'
        + ('{"n": 1}\n' if number % 2 else "")
        for number in range(40)
    )
    entries = post(proxy, lines.encode())["items"]
    assert [next(iter(entry)) for entry in entries] == ["delete", "create"] * 20
    statuses = {entry["status"] for item in entries for entry in item.values()}
    assert 429 in statuses
    assert statuses - {429} <= {200, 201, 404, 409}


def test_a_gzipped_bulk_is_taken_apart_too(proxy: ElasticsearchProxy, count: Callable[[], int]) -> None:
    proxy.reject_items(0.5)
    answer = post(proxy, gzip.compress(body(range(40))), headers={"Content-Encoding": "gzip"})
    accepted = [item for item in answer["items"] if item["index"]["status"] == 201]
    assert 0 < len(accepted) < 40
    assert count() == len(accepted)


def test_a_chunked_bulk_is_taken_apart_too(proxy: ElasticsearchProxy) -> None:
    proxy.reject_items(1.0)
    pieces = iter([body(range(3)), body(range(3, 5))])
    answer = requests.post(
        f"{proxy.url}/{INDEX}/_bulk", data=pieces, headers={"Content-Type": "application/x-ndjson"}, timeout=60
    )
    assert len(answer.json()["items"]) == 5


def test_what_is_no_bulk_gets_elasticsearchs_own_answer(proxy: ElasticsearchProxy) -> None:
    proxy.reject_items(1.0)
    answer = requests.post(
        f"{proxy.url}/{INDEX}/_bulk", data=b'{"odd": 1}\n', headers={"Content-Type": "application/json"}, timeout=60
    )
    assert answer.status_code == 400
    assert "bulks" not in proxy.counts


def test_the_suites_store_sees_refused_items_and_gets_all_in_by_repeating(
    proxy: ElasticsearchProxy, count: Callable[[], int], elasticsearch_client: Elasticsearch
) -> None:
    elasticsearch_client.indices.create(index=INDEX)
    store = elastic.connect({"elasticsearch_url": proxy.url})
    proxy.reject_items(0.5, status=503)
    errors = store.bulk(INDEX, body(range(30)), timeout_s=250)
    assert errors
    assert {(error.status, error.kind) for error in errors} == {(503, "unavailable_shards_exception")}
    assert all(0 <= error.position < 30 for error in errors)
    for _ in range(50):
        left = sorted(error.position for error in errors)
        if not left:
            break
        again = store.bulk(INDEX, b"".join(body(range(number, number + 1)) for number in left), timeout_s=250)
        errors = [error for error in errors if error.position in {left[found.position] for found in again}]
    assert not errors
    assert count() == 30


def test_the_suites_store_finds_a_refusing_elasticsearch_busy(proxy: ElasticsearchProxy) -> None:
    store = elastic.connect({"elasticsearch_url": proxy.url})
    proxy.answer(429)
    with pytest.raises(StoreBusy, match="429"):
        store.bulk(INDEX, body(range(3)))


def test_behind_a_tcp_proxy_that_cuts_between_effect_and_answer(
    proxy: ElasticsearchProxy, count: Callable[[], int]
) -> None:
    network = Network()
    try:
        before = network.proxy("actions-elasticsearch", upstream=proxy.address)
        before.cut_after_effect(b"_bulk")
        with pytest.raises(requests.ConnectionError):
            requests.post(
                f"{before.url('http')}/{INDEX}/_bulk",
                data=body(range(4)),
                headers={"Content-Type": "application/x-ndjson"},
                timeout=60,
            )
        assert count() == 4
        assert before.effects == {"cut": 1}
    finally:
        network.close()


def test_an_elasticsearch_that_is_gone_is_gone_behind_the_proxy_too() -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        ElasticsearchProxy("https://user:secret@127.0.0.1:1")
    proxy = ElasticsearchProxy("http://127.0.0.1:1")
    with pytest.raises(requests.ConnectionError):
        requests.get(proxy.url, timeout=60)
    proxy.close()
    proxy.close()
    with pytest.raises(ConnectionRefusedError):
        resets_who_comes(proxy.address)
