"""What answers in Elasticsearch's place may send any JSON: it is put off with a reason, and never ends the action."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hort.document_store import StoreBusy
from hort.elastic import ElasticStore

BODY = b'{"index":{"_id":"1"}}\n{}\n'


class _Client:
    """Answers every request with the same JSON."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def options(self, **_: Any) -> _Client:
        return self

    def perform_request(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(body=self._answer)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        "text",
        None,
        {},
        {"errors": True, "items": None},
        {"errors": True, "items": ["x"]},
        {"errors": True, "items": [{}]},
        {"errors": True, "items": [{"index": {"error": "text"}}]},
        {"errors": True, "items": [{"index": {"error": {"type": "x"}}}]},
    ],
)
def test_an_odd_answer_to_a_bulk_request_is_put_off(answer: Any) -> None:
    with pytest.raises(StoreBusy):
        ElasticStore(_Client(answer)).bulk("all-events", BODY)  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [{"index_templates": None}, {"index_templates": ["x"]}, {"index_templates": [{}]}])
def test_odd_templates_are_put_off(answer: Any) -> None:
    with pytest.raises(StoreBusy):
        ElasticStore(_Client(answer)).template_states("hort-*")  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [[], "text", None, {"all-events": None}, {"all-events": {}}])
def test_an_odd_mapping_is_put_off(answer: Any) -> None:
    with pytest.raises(StoreBusy):
        ElasticStore(_Client(answer)).mapping("all-events")  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [{"nodes": []}, {"nodes": {"a": None}}, {"nodes": {"a": {"tasks": {"b": {}}}}}])
def test_odd_tasks_are_put_off(answer: Any) -> None:
    with pytest.raises(StoreBusy):
        ElasticStore(_Client(answer)).under_way("1")  # type: ignore[arg-type]
