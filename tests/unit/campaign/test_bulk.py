"""Bulk bodies taken apart, their answers put together, and what a filter leaves."""

from __future__ import annotations

from typing import Any

import pytest

from campaign.bulk import Item, NotBulk, filtered, items, merged

BODY = b'{"index":{"_id":"a"}}\n{"n":1}\n{"delete":{"_id":"b","_index":"other"}}\n\n{"create":{}}\n{"n":2}\n'
ANSWER = {
    "took": 3,
    "errors": True,
    "items": [
        {"index": {"_id": "a", "status": 201}},
        {"create": {"_id": "c", "status": 409, "error": {"type": "conflict", "reason": "there is one"}}},
    ],
}


def test_operations_keep_their_lines_and_know_their_index() -> None:
    assert items(BODY, index="mine") == [
        Item("index", "mine", "a", b'{"index":{"_id":"a"}}\n{"n":1}\n'),
        Item("delete", "other", "b", b'{"delete":{"_id":"b","_index":"other"}}\n'),
        Item("create", "mine", None, b'{"create":{}}\n{"n":2}\n'),
    ]


@pytest.mark.parametrize(
    "body", [b"no json\n", b"[1]\n", b'{"index":{},"create":{}}\n', b'{"upsert":{}}\n{}\n', b'{"index":1}\n{}\n', b'{"index":{}}']
)
def test_what_is_no_bulk_is_refused(body: bytes) -> None:
    with pytest.raises(NotBulk):
        items(body, index="mine")


@pytest.mark.parametrize(("status", "kind"), [(429, "es_rejected_execution_exception"), (503, "unavailable_shards_exception")])
def test_a_refused_item_is_answered_in_its_place(status: int, kind: str) -> None:
    whole = merged(items(BODY, index="mine"), {1}, {"took": 1, "errors": False, "items": ANSWER["items"]}, status=status)
    assert [next(iter(item)) for item in whole["items"]] == ["index", "delete", "create"]
    refused = whole["items"][1]["delete"]
    assert (refused["_id"], refused["_index"], refused["status"], refused["error"]["type"]) == ("b", "other", status, kind)
    assert whole["errors"] is True
    assert (status == 503) == ("[other][0]" in refused["error"]["reason"])


def test_without_refused_items_the_answer_is_elasticsearchs_own() -> None:
    sent = items(BODY, index="mine")
    assert merged([sent[0], sent[2]], set(), ANSWER, status=429) == ANSWER


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("", ANSWER),
        ("errors", {"errors": True}),
        ("items.*.status", {"items": [{"index": {"status": 201}}, {"create": {"status": 409}}]}),
        ("took,items.*.error.type", {"took": 3, "items": [{"create": {"error": {"type": "conflict"}}}]}),
        ("items.*.err*", {"items": [{"create": {"error": ANSWER["items"][1]["create"]["error"]}}]}),  # type: ignore[index]
        ("nothing.there", {}),
    ],
)
def test_a_filter_leaves_what_elasticsearch_leaves(path: str, left: Any) -> None:
    assert filtered(ANSWER, path) == left


@pytest.mark.parametrize("path", ["-took", "items.**.status"])
def test_filters_not_known_here_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="filter_path="):
        filtered(ANSWER, path)
