"""Holds an answer against the recorded one: what is volatile is masked, what has no order is not ordered."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MASK = object()
_STAMPED = re.compile(r"\d{4}-\d\d-\d\dT")
_ID = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"\d+")
_LIST = re.compile(r"Valid values are: (.*)\.")
_SLACK = 60
_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; headers by lower-case name, a list for one that came more than once."""

    status: int
    headers: Mapping[str, str | list[str]]
    body: bytes

    def parsed(self) -> Any:
        """JSON where it is JSON, else text, else base64."""
        if not self.body:
            return ""
        try:
            return json.loads(self.body)
        except ValueError:
            pass
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            return {"$base64": base64.b64encode(self.body).decode()}


def differences(
    expected: Mapping[str, Any], volatile: Sequence[str], answer: Answer, *, logs: bool
) -> list[str]:
    """Every difference as a line; `logs` tells whether log lines of runs are compared."""
    wanted = copy.deepcopy(dict(expected))
    for pointer in volatile:
        _mask(wanted, pointer.strip("/").split("/"))
    found: list[str] = []
    if wanted["status"] != answer.status:
        found.append(f"status: {wanted['status']} expected, got {answer.status}")
    found += _header_differences(wanted.get("headers") or {}, answer.headers)
    if not logs:
        _mask_logs(wanted.get("body"))
    found += _body_differences(wanted.get("body"), answer)
    return found


def _header_differences(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        if name not in got:
            yield f"header {name}: {_show(value)} expected, missing"
        elif value is not _MASK and value != got[name]:
            yield f"header {name}: {_show(value)} expected, got {_show(got[name])}"


def _body_differences(wanted: Any, answer: Answer) -> Iterator[str]:
    if isinstance(wanted, dict) and "$truncated" in wanted:
        return iter(())
    if isinstance(wanted, dict) and "$large_length" in wanted:
        return _large_differences(wanted, answer.body)
    if isinstance(wanted, dict) and set(wanted) == {"$raw"}:
        text = answer.body.decode("utf-8", "replace")
        return (
            iter(())
            if wanted["$raw"] == text
            else iter([f"body: {_show(wanted['$raw'])} expected, got {_show(text)}"])
        )
    if isinstance(wanted, dict) and set(wanted) == {"$base64"}:
        got = base64.b64encode(answer.body).decode()
        return (
            iter(())
            if wanted["$base64"] == got
            else iter([f"body: base64 {wanted['$base64']} expected, got {_show(got)}"])
        )
    return _compare(wanted, answer.parsed(), "body")


def _large_differences(wanted: Mapping[str, Any], body: bytes) -> Iterator[str]:
    """Length, head and tail; ids and numbers masked in records, which have volatile ones inside."""
    text = body.decode("utf-8", "replace")
    head, tail = wanted["$head"], wanted["$tail"]
    record = "activationId" in head or '"updated"' in tail
    length = wanted["$large_length"]
    if abs(len(text) - length) > (_SLACK if record else 0):
        yield f"body: length {length} expected, got {len(text)}"
    shape = _shape if record else str
    for name, want, got in (
        ("head", head, text[: len(head)]),
        ("tail", tail[::-1], text[: -len(tail) - 1 : -1]),
    ):
        if not _same_start(shape(want), shape(got), slack=_SLACK if record else 0):
            yield f"body: {name} {_show(want)} expected, got {_show(got)}"


def _compare(wanted: Any, got: Any, at: str) -> Iterator[str]:
    if wanted is _MASK:
        return
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in wanted.keys() | got.keys():
            yield from _member(wanted, got, key, f"{at}/{key}")
    elif isinstance(wanted, list) and isinstance(got, list):
        yield from _items(wanted, got, at)
    elif isinstance(wanted, str) and isinstance(got, str):
        if _unordered(wanted) != _unordered(got):
            yield f"{at}: {_show(wanted)} expected, got {_show(got)}"
    elif type(wanted) is bool or type(got) is bool:
        if wanted is not got:
            yield f"{at}: {_show(wanted)} expected, got {_show(got)}"
    elif wanted != got:
        yield f"{at}: {_show(wanted)} expected, got {_show(got)}"


def _member(wanted: dict[str, Any], got: dict[str, Any], key: str, at: str) -> Iterator[str]:
    if key not in got:
        yield f"{at}: {_show(wanted[key])} expected, missing"
    elif key not in wanted:
        yield f"{at}: not expected, got {_show(got[key])}"
    else:
        yield from _compare(wanted[key], got[key], at)


def _items(wanted: list[Any], got: list[Any], at: str) -> Iterator[str]:
    if _keyed(wanted) and _keyed(got):
        yield from _compare(_by_key(wanted), _by_key(got), at)
        return
    if len(wanted) != len(got):
        yield f"{at}: {len(wanted)} items expected, got {len(got)}"
    for number, (want, have) in enumerate(zip(wanted, got, strict=False)):
        yield from _compare(want, have, f"{at}/{number}")


def _keyed(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) and "key" in item for item in items)


def _by_key(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        str(item["key"]): {name: value for name, value in item.items() if name != "key"} for item in items
    }


def _unordered(text: str) -> tuple[str, frozenset[str]]:
    match = _LIST.search(text)
    if match is None:
        return text, frozenset()
    return text.replace(match[1], ""), frozenset(match[1].split(", "))


def _mask(document: Any, path: Sequence[str]) -> None:
    """Replace what a pointer names; a pointer into nothing is ignored."""
    *parents, last = path
    for step in parents:
        document = _child(document, step)
    if isinstance(document, list) and last.isdigit() and int(last) < len(document):
        document[int(last)] = _MASK
    elif isinstance(document, dict) and last in document:
        document[last] = _MASK


def _child(document: Any, step: str) -> Any:
    if isinstance(document, list):
        return document[int(step)] if step.isdigit() and int(step) < len(document) else None
    return document.get(step) if isinstance(document, dict) else None


def _mask_logs(body: Any) -> None:
    """Leave out log lines of runs: those of the recording come from a log store of another kind."""
    for record in body if isinstance(body, list) else [body]:
        if not isinstance(record, dict) or not isinstance(record.get("logs"), list):
            continue
        logs = record["logs"]
        if not logs or (
            any(line is _MASK or _STAMPED.match(line) for line in logs) and not _is_list_of_rules(record)
        ):
            record["logs"] = _MASK


def _is_list_of_rules(record: Mapping[str, Any]) -> bool:
    """Whether it is the record of a trigger, which has no end, or of a sequence, whose lines are ids."""
    annotations = {
        pair["key"]: pair["value"] for pair in record.get("annotations", ()) if isinstance(pair, dict)
    }
    return annotations.get("kind") == "sequence" or ("response" in record and "end" not in record)


def _same_start(want: str, got: str, *, slack: int) -> bool:
    """Whether two texts begin alike; where numbers were masked, ends of other lengths are left out."""
    length = min(len(want), len(got)) - slack
    return want[:length] == got[:length] if slack else want == got


def _shape(text: str) -> str:
    return _NUMBER.sub("0", _ID.sub("I", text))


def _show(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=lambda _: "*")
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
