"""The judge of the conformance replay must itself be right: it accepts what may differ and nothing else."""

import json
import tomllib
from typing import Any

import pytest

from localwhisk.conformance import budgets, patience, recording
from localwhisk.conformance.__main__ import DEVIATIONS
from localwhisk.conformance.compare import Answer, differences


def found(expected: Any, got: Any, *, volatile: tuple[str, ...] = (), logs: bool = False) -> list[str]:
    answer = Answer(200, {"content-type": "application/json"}, json.dumps(got).encode())
    return differences({"status": 200, "headers": {}, "body": expected}, volatile, answer, logs=logs)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ({"a": 1}, {"a": 1}),
        (
            [{"key": "a", "value": 1}, {"key": "b", "value": 2}],
            [{"key": "b", "value": 2}, {"key": "a", "value": 1}],
        ),
        ({"error": "Valid values are: 'a', 'b'."}, {"error": "Valid values are: 'b', 'a'."}),
        ({"f": 1.0}, {"f": 1}),
    ],
)
def test_same(expected: Any, got: Any) -> None:
    assert found(expected, got) == []


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({}, {"a": 1}),
        ({"a": True}, {"a": 1}),
        ([1, 2], [2, 1]),
        ([1], [1, 2]),
        ({"error": "Valid values are: 'a', 'b'."}, {"error": "Valid values are: 'b'."}),
        ([{"key": "a", "value": 1}], [{"key": "b", "value": 1}]),
    ],
)
def test_different(expected: Any, got: Any) -> None:
    assert found(expected, got)


def test_volatile_values_may_differ_but_not_be_missing() -> None:
    assert found({"a": 1, "b": 2}, {"a": 9, "b": 2}, volatile=("/body/a",)) == []
    assert found({"a": 1, "b": 2}, {"b": 2}, volatile=("/body/a",))


def test_log_lines_are_compared_only_when_asked_for() -> None:
    line = "2026-11-24T02:34:03.769500772Z Hello"
    record = {"logs": [line], "end": 1}
    other = {"logs": [line, line], "end": 1}
    assert found(record, other) == []
    assert found(record, other, logs=True)


def test_lines_of_a_trigger_are_always_compared() -> None:
    record = {"logs": ["{}"], "response": {}, "annotations": []}
    assert found(record, {**record, "logs": []})


def test_status_and_headers() -> None:
    answer = Answer(404, {"a": "1"}, b"")
    wanted = {"status": 200, "headers": {"a": "2", "b": "x"}, "body": ""}
    assert len(differences(wanted, (), answer, logs=False)) == 3
    assert len(differences(wanted, ("/headers/a",), answer, logs=False)) == 2


def test_references_to_earlier_answers() -> None:
    answers = {"x": {"activationId": "abc", "logs": ['{"activationId":"def"}'], "start": 10}}
    assert recording.resolve("/a/{x:activationId}/b", answers.__getitem__) == "/a/abc/b"
    assert recording.resolve("/a/{x:logs/0#activationId}", answers.__getitem__) == "/a/def"
    assert recording.resolve("since={x:start}+1", answers.__getitem__) == "since=11"


@pytest.mark.parametrize(
    ("body", "raw"),
    [
        (None, None),
        ({"$raw": "x"}, b"x"),
        ({"$base64": "AAE="}, b"\x00\x01"),
        ({"$py": "{'x': 'y'*3}"}, b'{"x": "yyy"}'),
        ([1], b"[1]"),
    ],
)
def test_bodies(body: Any, raw: bytes | None) -> None:
    assert recording.encoded(body) == raw


def test_a_replay_counts_the_calls_of_a_minute() -> None:
    minute = budgets.Minute(clock=lambda: 90.0)
    invoke = recording.Sent("POST", "/api/v1/namespaces/_/actions/a", {}, None)
    fire = recording.Sent("POST", "/api/v1/namespaces/_/triggers/t", {}, None)
    minute.count(invoke, 429)
    minute.count(fire, 202)
    minute.count(recording.Sent("GET", "/api/v1/namespaces/_/actions/a", {}, None), 200)
    assert (minute.made(invoke), minute.made(fire)) == (2, 1)


RECORD = recording.Sent("GET", "/api/v1/namespaces/_/activations/a", {}, None)
INVOKE = recording.Sent("POST", "/api/v1/namespaces/_/actions/a", {}, None)
RUN_LIMIT = {"error": "The action exceeded its time limits of 500 milliseconds."}
INIT_LIMIT = {"error": "The action exceeded its time limits of 500 milliseconds during initialization."}


@pytest.mark.parametrize(
    ("sent", "wanted", "answers", "asked"),
    [
        (RECORD, (200, {}), [(404, {}), (404, {}), (200, {})], 3),
        (RECORD, (404, {}), [(404, {}), (200, {})], 1),
        (INVOKE, (200, {}), [(404, {}), (200, {})], 1),
        (INVOKE, (200, {"c": 1}), [(502, RUN_LIMIT), (200, {"c": 1})], 2),
        (INVOKE, (502, RUN_LIMIT), [(502, INIT_LIMIT), (502, RUN_LIMIT), (200, {})], 2),
        (INVOKE, (502, RUN_LIMIT), [(200, {}), (502, RUN_LIMIT)], 1),
        (INVOKE, (200, {"c": 1}), [(502, RUN_LIMIT)] * 12, 11),
    ],
)
def test_what_a_busy_machine_answers_is_asked_again(
    sent: recording.Sent, wanted: tuple[int, Any], answers: list[tuple[int, Any]], asked: int
) -> None:
    left = iter(answers)
    given: list[Answer] = []

    def ask() -> Answer:
        status, body = next(left)
        given.append(Answer(status, {}, json.dumps(body).encode()))
        return given[-1]

    expected = {"status": wanted[0], "body": wanted[1]}
    assert patience.patiently(ask, sent, expected, sleep=lambda _: None) is given[-1]
    assert len(given) == asked


@pytest.mark.parametrize("given", ["Basic eA==", "basic eA==", "BEARER x"])
def test_credentials_are_sent_as_recorded(given: str) -> None:
    assert recording.sent_headers({"Authorization": given}, None) == {"authorization": given}


def test_names_stand_for_their_credentials() -> None:
    assert recording.sent_headers({"authorization": "none"}, None) == {}
    assert recording.sent_headers({}, b"{}")["content-type"] == "application/json"
    assert recording.sent_headers({}, None) == recording.sent_headers({"authorization": "guest"}, None)


def test_deviations_have_a_reason_each() -> None:
    deviations = tomllib.loads(DEVIATIONS.read_text("utf-8"))["deviations"]
    assert deviations
    assert all(reason.strip() for reason in deviations.values())
