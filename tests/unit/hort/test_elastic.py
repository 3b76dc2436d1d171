"""The Elasticsearch adapter over a client that is made up: how long its requests may take."""

from typing import Any, cast

import pytest
from elasticsearch import Elasticsearch

from hort.document_store import StoreBusy
from hort.elastic import ElasticStore

BODY = b'{"index":{"_id":"a"}}\n{}\n'


class Slow:
    """A client each of whose requests takes that many seconds and finds an error."""

    def __init__(self, *, takes_s: float) -> None:
        self.takes_s = takes_s
        self.now = 0.0
        self.timeouts: list[float] = []
        self.body: dict[str, Any] = {"errors": True, "items": [{"index": {"status": 429, "error": {"type": "busy"}}}]}

    def options(self, *, request_timeout: float) -> "Slow":
        self.timeouts.append(request_timeout)
        return self

    def perform_request(self, *_: object, **__: object) -> "Slow":
        self.now += self.takes_s
        return self


def store(client: Slow) -> ElasticStore:
    return ElasticStore(cast("Elasticsearch", client), clock=lambda: client.now)


def test_both_requests_of_a_body_with_errors_share_one_timeout() -> None:
    client = Slow(takes_s=15)

    (error,) = store(client).bulk("i", BODY, timeout_s=20)

    assert (error.status, client.timeouts) == (429, [20, 5])


def test_body_whose_errors_cannot_be_asked_for_in_time_is_tried_again_later() -> None:
    client = Slow(takes_s=21)

    with pytest.raises(StoreBusy, match="no time of 20 s left"):
        store(client).bulk("i", BODY, timeout_s=20)
    assert client.timeouts == [20]


def test_answer_that_does_not_tell_of_each_document_is_none() -> None:
    """What stands before Elasticsearch may cut it; those that it leaves out would count as stored."""
    with pytest.raises(StoreBusy, match="each document"):
        store(Slow(takes_s=0)).bulk("i", 3 * BODY, timeout_s=20)


@pytest.mark.parametrize("body", [{"errors": True}, {"items": []}, {}, [], "<html>"])
def test_answer_of_something_else_is_none(body: Any) -> None:
    client = Slow(takes_s=0)
    client.body = body
    with pytest.raises(StoreBusy, match="no Elasticsearch"):
        store(client).bulk("i", BODY, timeout_s=20)


def test_error_without_a_reason_is_told_by_its_status() -> None:
    """As that of a null pointer in Elasticsearch."""
    client = Slow(takes_s=0)
    client.body["items"] = [{"index": {"status": 500, "error": {"type": "null_pointer_exception", "reason": None}}}]

    (error,) = store(client).bulk("i", BODY, timeout_s=20)

    assert (error.status, error.kind, error.reason) == (500, "null_pointer_exception", "")
