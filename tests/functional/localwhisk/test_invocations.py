import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from localwhisk import messages
from tests.support.localwhisk_app import ROOMY, LocalWhisk


def test_blocking_answers_the_record_without_logs_and_keeps_them(local: LocalWhisk) -> None:
    local.put_action("a")
    reply = local.call("POST", "actions/a?blocking=true", {"x": 1})
    record = reply.json
    assert reply.status == 200
    assert reply.header("x-openwhisk-activation-id") == record["activationId"]
    assert record["response"] == {"result": {"x": 1}, "size": 9, "status": "success", "success": True}
    assert record["logs"] == []
    kept = local.record(record["activationId"])
    assert kept == {**record, "logs": ["2026-01-01T00:00:00.000000000Z stdout: /guest/a"]}


def test_result_only(local: LocalWhisk) -> None:
    local.put_action("a")
    assert local.result("a", {"x": 1}) == {"x": 1}
    assert local.call("POST", "actions/a?result=true", {}).status == 202


@pytest.mark.parametrize(
    ("code", "result"), [("fail", {"error": "it failed"}), ("none", {"error": "no result"})]
)
def test_errors_of_actions_are_502(local: LocalWhisk, code: str, result: Any) -> None:
    local.put_action("a", code)
    reply = local.call("POST", "actions/a?blocking=true", {})
    assert (reply.status, reply.json["response"]["result"]) == (502, result)
    assert local.call("POST", "actions/a?blocking=true&result=true", {}).json == result


def test_an_array_is_answered_bare(local: LocalWhisk) -> None:
    local.put_action("a", "list")
    reply = local.call("POST", "actions/a?blocking=true", {})
    assert (reply.status, reply.json) == (200, [1, 2, {"a": 1}])


def test_what_is_not_done_in_time_goes_on(local: LocalWhisk) -> None:
    gate = asyncio.Event()

    async def slow(_: Any) -> Any:
        await gate.wait()
        return {"slept": True}

    local.runtimes.behaviours["slow"] = slow
    local.put_action("a", "slow")
    reply = local.call("POST", "actions/a?blocking=true&timeout=1", {})
    assert (reply.status, list(reply.json)) == (202, ["activationId"])
    gate.set()
    local.run(local.engine.invoker.drain(60))
    assert local.record(reply.json["activationId"])["response"]["result"] == {"slept": True}


@pytest.mark.parametrize("timeout", ["x", "0", "60001", "-1", "1.5"])
def test_other_waits_are_refused(local: LocalWhisk, timeout: str) -> None:
    local.put_action("a")
    reply = local.call("POST", f"actions/a?blocking=true&timeout={timeout}", {})
    assert reply.status == 400
    assert reply.error.endswith("Timeout must be number of milliseconds up to 60000.")


@pytest.mark.parametrize("query", ["blocking=TRUE", "blocking=yes", "blocking=on", "blocking=1"])
def test_words_that_mean_true(local: LocalWhisk, query: str) -> None:
    local.put_action("a")
    assert local.call("POST", f"actions/a?{query}", {}).status == 200


@pytest.mark.parametrize("query", ["", "blocking=0", "blocking=no", "blocking=", "blocking"])
def test_words_that_mean_false(local: LocalWhisk, query: str) -> None:
    local.put_action("a")
    assert local.call("POST", f"actions/a?{query}", {}).status == 202


def test_precedence_of_parameters(local: LocalWhisk) -> None:
    local.call("PUT", "packages/p", {"parameters": [{"key": key, "value": "pkg"} for key in "abc"]})
    local.put_action("p/a", parameters=[{"key": key, "value": "act"} for key in "bc"])
    assert local.result("p/a", {"c": "pay", "d": None}) == {"a": "pkg", "b": "act", "c": "pay", "d": None}


def test_final_parameters_cannot_be_replaced(local: LocalWhisk) -> None:
    parameters = [{"key": "x", "value": 1}, {"key": "open", "value": None}]
    local.put_action("a", annotations=[{"key": "final", "value": True}], parameters=parameters)
    reply = local.call("POST", "actions/a?blocking=true", {"x": 2})
    assert (reply.status, reply.error) == (400, messages.PARAMETERS_NOT_ALLOWED)
    assert local.result("a", {"open": 2}) == {"x": 1, "open": 2}


def test_a_payload_may_have_one_megabyte(local: LocalWhisk) -> None:
    local.put_action("a", "give-back")
    body = b'{"x": "' + b"z" * (1048576 - 9) + b'"}'
    assert len(local.call("POST", "actions/a?blocking=true&result=true", body).body) > 1048500
    reply = local.call("POST", "actions/a", body + b" ")
    assert (reply.status, reply.error) == (413, "Request larger than allowed: 1048577 > 1048576 bytes.")


def test_rates(new_local: Callable[..., LocalWhisk]) -> None:
    local = new_local(limits=replace(ROOMY, invocations_per_minute=2), clock=lambda: 1_000_000_000_000)
    local.put_action("a")
    assert [local.call("POST", "actions/a", {}).status for _ in range(2)] == [202, 202]
    reply = local.call("POST", "actions/nope", {})
    assert (reply.status, reply.error) == (
        429,
        "Too many requests in the last minute (count: 3, allowed: 2).",
    )
    assert reply.header("access-control-allow-origin") == "*"


def test_concurrency_is_given_back(new_local: Callable[..., LocalWhisk]) -> None:
    local = new_local(limits=replace(ROOMY, concurrent=2))
    gate = asyncio.Event()

    async def slow(_: Any) -> Any:
        await gate.wait()
        return {}

    local.runtimes.behaviours["slow"] = slow
    local.put_action("a", "slow")

    async def scenario() -> list[int]:
        replies = [(await local.request("POST", "actions/a", {})).status for _ in range(3)]
        gate.set()
        await local.engine.invoker.drain(60)
        return [*replies, (await local.request("POST", "actions/a", {})).status]

    assert local.run(scenario()) == [202, 202, 429, 202]


def test_many_at_once_all_end_with_their_own_results(local: LocalWhisk) -> None:
    local.put_action("a")

    async def scenario() -> list[Any]:
        path = "actions/a?blocking=true&result=true"
        return await asyncio.gather(*(local.request("POST", path, {"n": n}) for n in range(100)))

    assert [reply.json["n"] for reply in local.run(scenario())] == list(range(100))
    assert local.call("GET", "activations?count=true").json == {"activations": 100}
    assert local.engine.throttle.in_flight("guest") == 0
