"""What must be in Elasticsearch, computed from what was published, compared with what is there; imports nothing of the suite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from campaign import alarm_oracle, record_oracle, result_oracle, window_oracle
from campaign.record_oracle import Rules
from campaign.result_oracle import Model
from campaign.stream import Stream
from campaign.verdict import WRONG, Verdict

__all__ = ["Documents", "Model", "Rules", "Verdict", "judge", "stored_in"]

PAGE = 5_000
_RESULT_FIELDS = ["record_id", "device_type", "device_id", "event", "@timestamp", "model", "status", "result"]

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What is in Elasticsearch, each document with its id under `_id`; each is read once."""

    events: Iterable[Document] = ()
    analytics: Iterable[Document] = ()
    results: Iterable[Document] = ()
    dead: Iterable[Document] = ()
    alarms: Iterable[Document] = ()


def stored_in(client: Elasticsearch, *, prefix: str = "") -> Documents:
    """The documents of the five indices, read as they are needed."""
    return Documents(
        events=_documents(client, f"{prefix}all-events"),
        analytics=_documents(client, f"{prefix}analytics"),
        results=_documents(client, f"{prefix}model-results", _RESULT_FIELDS),
        dead=_documents(client, f"{prefix}dead-letters"),
        alarms=_documents(client, f"{prefix}alarms"),
    )


def _documents(client: Elasticsearch, index: str, fields: Sequence[str] | None = None) -> Iterator[Document]:
    client.indices.refresh(index=index, ignore_unavailable=True)
    body: dict[str, Any] = {"query": {"match_all": {}}}
    if fields:
        body["_source"] = list(fields)
    for hit in scan(client, index=index, query=body, size=PAGE, ignore_unavailable=True):
        yield {**hit["_source"], "_id": hit["_id"]}


def judge(stream: Stream, documents: Documents, rules: Rules, *, models: Sequence[Model] = ()) -> Verdict:
    """Everything compared with everything."""
    verdict = Verdict()
    stored = record_oracle.judge(stream, documents.events, rules, verdict)
    window_oracle.judge(stored, documents.analytics, rules, verdict)
    result_oracle.judge(stored, documents.results, models, verdict)
    alarm_oracle.judge(stored, documents.alarms, verdict)
    _judge_dead(documents.dead, verdict)
    return verdict


def _judge_dead(dead: Iterable[Document], verdict: Verdict) -> None:
    """Nothing that is published is bad, so there must be none."""
    for letter in dead:
        facts = f"stage {letter.get('stage')}, reason {letter.get('reason')}, batch {letter.get('batch_id')}"
        detail = f"{facts}, topic {letter.get('topic')}: {letter.get('detail')}"
        verdict.add(WRONG, "dead-letter", ids=(letter["_id"],), detail=detail)
