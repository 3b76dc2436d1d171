"""Payloads that cannot be records: each ends as one dead letter with its reason, and its neighbours arrive."""

from collections.abc import Callable
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.acceptance.conftest import Device, patiently
from tests.support.polling import wait_until

MALFORMED = {
    "not JSON": b"bikes: 7",
    "not UTF-8": b'{"bikes": "\xff\xfe"}',
    "an array of numbers": b"[1, 2, 3]",
    "2 MB": b'{"text": "' + b"x" * 2_000_000 + b'"}',
    "NaN": b'{"bikes": NaN}',
    "deep nesting": b'{"a":' * 200 + b"1" + b"}" * 200,
    "a number": b"7",
    "empty": b"",
}


def _letters(search: Elasticsearch, device_type: str) -> list[dict[str, Any]]:
    return patiently(lambda: _found(search, device_type))


def _found(search: Elasticsearch, device_type: str) -> list[dict[str, Any]]:
    search.indices.refresh(index="dead-letters", ignore_unavailable=True)
    found = search.search(
        index="dead-letters", query={"wildcard": {"topic": f"*{device_type}*"}}, size=100, ignore_unavailable=True
    )
    return [hit["_source"] for hit in found["hits"]["hits"]]


@pytest.mark.parametrize("what", MALFORMED)
def test_one_dead_letter_and_neighbours_arrive(
    what: str, device: Device, search: Elasticsearch, stored: Callable[[str, str], list[dict[str, Any]]]
) -> None:
    device.publish({"bikes": 1})
    device.publish(MALFORMED[what])
    device.publish({"bikes": 2})
    device.published()

    wait_until(lambda: len(stored("all-events", device.device_type)) == 2, timeout_s=180, what="the neighbours' arrival")
    (letter,) = wait_until(lambda: _letters(search, device.device_type), timeout_s=180, what="the dead letter")

    assert sorted(row["data"]["bikes"] for row in stored("all-events", device.device_type)) == [1, 2]
    assert letter["stage"] == "ingest"
    assert letter["reason"]
    assert letter["payload_base64"] is not None


def test_topic_that_does_not_match(
    device: Device, search: Elasticsearch, stored: Callable[[str, str], list[dict[str, Any]]]
) -> None:
    device.publish({"bikes": 1}, topic=f"iot-2/{device.device_type}/elsewhere")
    device.publish({"bikes": 2})
    device.published()

    (letter,) = wait_until(lambda: _letters(search, device.device_type), timeout_s=180, what="the dead letter")

    assert letter["reason"] == "topic-mismatch"
    wait_until(lambda: len(stored("all-events", device.device_type)) == 1, timeout_s=180, what="the neighbour's arrival")
