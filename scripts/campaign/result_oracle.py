"""Whether each record has exactly one result of each model, with the answer that the model gives for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from campaign.record_oracle import Stored, milliseconds
from campaign.stream import prediction
from campaign.verdict import DOUBLED, LOST, WRONG, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A registered model: records that arrived from `since_ms` until `until_ms` must have one result of it each."""

    name: str
    since_ms: int
    until_ms: int | None = None
    device_types: Sequence[str] = ("*",)

    def wants(self, row: Stored) -> bool:
        """Whether a record must have a result."""
        ended = self.until_ms is not None and row.received_ms > self.until_ms
        return row.received_ms >= self.since_ms and not ended and self.takes(row)

    def takes(self, row: Stored) -> bool:
        """Whether a record may have a result."""
        return any(fnmatchcase(row.group, glob) for glob in self.device_types)


def judge(
    stored: Sequence[Stored], results: Iterable[Mapping[str, Any]], models: Sequence[Model], verdict: Verdict
) -> None:
    """Compares the results with the stored records; those that are not `ok` are counted by status and not wrong."""
    rows = {row.doc_id: row for row in stored}
    known = {model.name: model for model in models}
    seen: dict[str, dict[str, str]] = {model.name: {} for model in models}
    for result in results:
        name, record_id, doc_id = str(result.get("model")), str(result.get("record_id")), result["_id"]
        verdict.results.setdefault(name, Counter())[str(result.get("status"))] += 1
        row = rows.get(record_id)
        if row is None or name not in known:
            detail = f"of model {name} for record {record_id}: one of them is not known"
            verdict.add(WRONG, "result", ids=(doc_id,), detail=detail)
            continue
        if record_id in seen[name]:
            ids = (seen[name][record_id], doc_id)
            verdict.add(DOUBLED, "result", **_at(row), ids=ids, detail=f"two results of model {name}")
        seen[name][record_id] = doc_id
        for problem in _problems(result, row, known[name]):
            verdict.add(WRONG, "result", **_at(row), ids=(doc_id,), detail=f"model {name}: {problem}")
    for model in models:
        for row in stored:
            if row.doc_id not in seen[model.name] and model.wants(row):
                verdict.add(LOST, "result", **_at(row), ids=(row.doc_id,), detail=f"no result of model {model.name}")


def _at(row: Stored) -> dict[str, Any]:
    return {"group": row.group, "device": row.device, "seq": row.seq}


def _problems(result: Mapping[str, Any], row: Stored, model: Model) -> Iterator[str]:
    """What is not as it must be, a sentence each."""
    if not model.takes(row):
        yield f"does not take device type {row.group}"
    right = {"device_type": row.group, "device_id": row.device, "event": row.event}
    for name, value in right.items():
        if result.get(name) != value:
            yield f"{name} is {result.get(name)!r}, the record's is {value!r}"
    try:
        if milliseconds(result["@timestamp"]) != row.at_ms:
            yield f"@timestamp is {result['@timestamp']}, the record's is {row.at_ms}"
    except (KeyError, TypeError, ValueError):
        yield f"@timestamp is {result.get('@timestamp')!r}"
    expected = prediction({"value": row.values[0], "seq": row.values[1]})
    if result.get("status") == "ok" and result.get("result") != expected:
        yield f"result is {result.get('result')!r}, expected {expected!r}"
