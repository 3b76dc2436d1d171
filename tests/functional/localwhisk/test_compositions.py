from collections.abc import Callable
from typing import Any

import pytest

from localwhisk import messages
from tests.support.localwhisk_app import LocalWhisk


def annotations(record: Any) -> dict[str, Any]:
    return {pair["key"]: pair["value"] for pair in record["annotations"]}


def put_sequence(local: LocalWhisk, name: str, *components: str) -> Any:
    exec_ = {"kind": "sequence", "components": [f"/_/{component}" for component in components]}
    return local.call("PUT", f"actions/{name}?overwrite=true", {"exec": exec_})


@pytest.fixture
def steps(local: LocalWhisk) -> LocalWhisk:
    return prepared(local)


def prepared(local: LocalWhisk) -> LocalWhisk:
    """With actions to make sequences of."""
    local.runtimes.behaviours["add"] = lambda args: {**args, "n": args.get("n", 0) + 1}
    local.put_action("add", "add", parameters=[{"key": "default", "value": 1}])
    local.put_action("fail", "fail")
    local.put_action("list", "list")
    return local


def test_a_sequence_passes_results_on(steps: LocalWhisk) -> None:
    created = put_sequence(steps, "seq", "add", "add").json
    assert created["exec"] == {"components": ["/guest/add", "/guest/add"], "kind": "sequence"}
    assert created["parameters"] == [{"key": "_actions", "value": ["/guest/add", "/guest/add"]}]
    record = steps.call("POST", "actions/seq?blocking=true", {"n": 5}).json
    assert record["response"]["result"] == {"n": 7, "default": 1}
    assert annotations(record) == {
        "topmost": True,
        "path": "guest/seq",
        "waitTime": 0,
        "kind": "sequence",
        "limits": {"concurrency": 1, "logs": 10, "memory": 256, "timeout": 60000},
    }
    component = steps.record(record["logs"][1])
    assert component["cause"] == record["activationId"]
    assert annotations(component)["causedBy"] == "sequence"


def test_the_first_error_ends_it(steps: LocalWhisk) -> None:
    put_sequence(steps, "seq", "add", "fail", "add")
    reply = steps.call("POST", "actions/seq?blocking=true", {"e": "why"})
    assert reply.status == 502
    assert reply.json["response"]["result"] == {"error": "why"}
    assert len(reply.json["logs"]) == 2


def test_a_missing_component_is_an_application_error_with_a_record(steps: LocalWhisk) -> None:
    put_sequence(steps, "seq", "add")
    steps.call("DELETE", "actions/add")
    reply = steps.call("POST", "actions/seq?blocking=true", {})
    assert (reply.status, reply.json["response"]["result"]["error"]) == (
        502,
        messages.SEQUENCE_COMPONENT_MISSING,
    )
    assert "limits" not in annotations(reply.json)
    assert "size" not in reply.json["response"]


def test_nested_sequences(steps: LocalWhisk) -> None:
    put_sequence(steps, "inner", "add", "add")
    put_sequence(steps, "outer", "inner", "add")
    record = steps.call("POST", "actions/outer?blocking=true", {}).json
    assert record["response"]["result"]["n"] == 3
    inner = steps.record(record["logs"][0])
    assert (annotations(inner)["topmost"], annotations(inner)["causedBy"]) == (False, "sequence")
    assert len(inner["logs"]) == 2


def test_an_array_reaches_the_next_component_as_it_is(steps: LocalWhisk) -> None:
    steps.runtimes.behaviours["count"] = lambda args: {"count": len(args)}
    steps.put_action("count", "count")
    put_sequence(steps, "seq", "list", "count")
    assert steps.result("seq") == {"count": 3}


def test_a_sequence_costs_one_invocation(new_local: Callable[..., LocalWhisk]) -> None:
    steps = prepared(new_local(clock=lambda: 1_000_000_000_000))
    put_sequence(steps, "seq", "add", "add", "add")
    steps.result("seq")
    refusal = [steps.engine.throttle.invocation_refusal("guest") for _ in range(9_999)]
    assert refusal == [None] * 9_999
    assert steps.engine.throttle.invocation_refusal("guest") is not None


@pytest.mark.parametrize(
    ("name", "components", "text"),
    [
        ("x", [], messages.SEQUENCE_EMPTY),
        ("x", ["nope"], messages.SEQUENCE_COMPONENT_MISSING),
        ("x", ["x"], messages.SEQUENCE_CYCLIC),
        ("x", ["add"] * 51, messages.SEQUENCE_TOO_LONG),
        ("x", ["half", "half", "add"], messages.SEQUENCE_TOO_LONG),
        ("half", ["uses-half"], messages.SEQUENCE_CYCLIC),
    ],
)
def test_sequences_that_are_refused(steps: LocalWhisk, name: str, components: list[str], text: str) -> None:
    put_sequence(steps, "half", *["add"] * 25)
    put_sequence(steps, "uses-half", "half")
    reply = put_sequence(steps, name, *components)
    assert (reply.status, reply.error) == (400, text)


def test_becoming_a_primitive_and_back(steps: LocalWhisk) -> None:
    put_sequence(steps, "x", "add")
    assert steps.put_action("x").json["parameters"] == []
    assert put_sequence(steps, "x", "add", "add").json["version"] == "0.0.3"


def conductor(args: Any) -> Any:
    count = args.get("n", 0)
    return (
        {"params": {"done": count}}
        if count >= 2
        else {"action": "add", "params": {"n": count}, "state": {"kept": 1}}
    )


def test_a_conductor_runs_what_it_names(steps: LocalWhisk) -> None:
    steps.runtimes.behaviours["conductor"] = conductor
    steps.put_action("cond", "conductor", annotations=[{"key": "conductor", "value": True}])
    record = steps.call("POST", "actions/cond?blocking=true", {}).json
    assert record["response"] == {"result": {"done": 2}, "status": "success", "success": True}
    assert len(record["logs"]) == 5
    assert (annotations(record)["conductor"], annotations(record)["kind"]) == (True, "sequence")


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ({"action": "nope"}, "Failed to resolve action with name 'nope' during composition."),
        ({"action": 5}, "Failed to parse action name from json value 5 during composition."),
        ({"action": "add"}, messages.COMPOSITION_TOO_LONG),
    ],
)
def test_conductors_that_fail(steps: LocalWhisk, output: Any, error: str) -> None:
    steps.runtimes.behaviours["conductor"] = lambda _: output
    steps.put_action("cond", "conductor", annotations=[{"key": "conductor", "value": True}])
    reply = steps.call("POST", "actions/cond?blocking=true&result=true", {})
    assert (reply.status, reply.json) == (502, {"error": error})
