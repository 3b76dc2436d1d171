import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from localwhisk import messages
from tests.support.localwhisk_app import OTHER, ROOMY, LocalWhisk


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


def test_actions_inside_count_when_a_sequence_has_grown(new_local: Callable[..., LocalWhisk]) -> None:
    """The limit counts what really ran, also what came into an inner sequence after the outer was checked."""
    steps = prepared(new_local(limits=replace(ROOMY, sequence_length=3)))
    put_sequence(steps, "inner", "add")
    put_sequence(steps, "outer", "inner", "add", "add")
    put_sequence(steps, "inner", "add", "add", "add")
    record = steps.call("POST", "actions/outer?blocking=true", {}).json
    assert record["response"]["result"] == {"error": messages.SEQUENCE_TOO_LONG}
    assert len(record["logs"]) == 1


def test_memory_is_the_most_of_any_component(steps: LocalWhisk) -> None:
    steps.put_action("big", "add", limits={"memory": 512})
    put_sequence(steps, "inner", "big")
    put_sequence(steps, "outer", "add", "inner")
    record = steps.call("POST", "actions/outer?blocking=true", {}).json
    assert annotations(record)["limits"]["memory"] == 512


class TestEntitlement:
    """Rights to components are checked before a sequence starts: no record, no run."""

    @pytest.fixture
    def shared(self, steps: LocalWhisk) -> LocalWhisk:
        """Sequences of `other` over a package of guest's that is shared."""
        steps.call("PUT", "packages/p?overwrite=true", {"publish": True})
        steps.put_action("p/add", "add")
        steps.call("PUT", "/api/v1/namespaces/other/actions/mine", python("give-back"), identity=OTHER)
        exec_ = {"kind": "sequence", "components": ["/_/mine", "/guest/p/add"]}
        made = steps.call("PUT", "/api/v1/namespaces/_/actions/seq", {"exec": exec_}, identity=OTHER)
        assert made.status == 200
        return steps

    def test_a_package_that_is_shared_no_more(self, shared: LocalWhisk) -> None:
        target = "/api/v1/namespaces/_/actions/seq?blocking=true"
        assert shared.call("POST", target, {}, identity=OTHER).json["response"]["result"]["n"] == 1
        shared.call("PUT", "packages/p?overwrite=true", {"publish": False})
        runs = len(shared.runtimes.runs)
        refused = shared.call("POST", target, {}, identity=OTHER)
        assert (refused.status, refused.error) == (403, messages.not_authorized("guest/p"))
        assert (len(shared.runtimes.runs), refused.header("x-openwhisk-activation-id")) == (runs, None)

    def test_a_package_of_ones_own_that_is_gone(self, steps: LocalWhisk) -> None:
        steps.call("PUT", "packages/p", {})
        steps.put_action("p/add", "add")
        put_sequence(steps, "seq", "p/add")
        steps.call("DELETE", "packages/p?force=true")
        reply = steps.call("POST", "actions/seq?blocking=true", {})
        assert (reply.status, reply.error) == (404, messages.NOT_FOUND)

    def test_components_of_others_cannot_be_named(self, steps: LocalWhisk) -> None:
        exec_ = {"kind": "sequence", "components": ["/other/b", "/_/add", "/other/a"]}
        reply = steps.call("PUT", "actions/seq", {"exec": exec_})
        assert (reply.status, reply.error) == (403, messages.not_authorized("other/a, other/b"))

    def test_a_rule_says_why_it_did_not_start(self, steps: LocalWhisk) -> None:
        steps.call("PUT", "packages/p", {})
        steps.put_action("p/add", "add")
        put_sequence(steps, "seq", "p/add")
        steps.call("PUT", "triggers/t", {})
        steps.put_rule("r", "t", "seq")
        steps.call("DELETE", "packages/p?force=true")
        fired = steps.call("POST", "triggers/t", {}).json["activationId"]
        line = json.loads(steps.record(fired)["logs"][0])
        assert (line["success"], line["error"]) == (False, messages.NOT_FOUND)

    def test_what_an_inner_sequence_runs_is_its_owners_matter(self, shared: LocalWhisk) -> None:
        """A shared sequence runs private actions of its owner for anybody."""
        shared.put_action("private", "add")
        exec_ = {"kind": "sequence", "components": ["/guest/private"]}
        shared.call("PUT", "actions/p/seq", {"exec": exec_})
        direct = shared.call("POST", "/api/v1/namespaces/guest/actions/p/seq", {}, identity=OTHER)
        assert (direct.status, direct.error) == (403, messages.not_authorized("guest/private"))
        outer = {"exec": {"kind": "sequence", "components": ["/guest/p/seq"]}}
        shared.call("PUT", "/api/v1/namespaces/_/actions/outer", outer, identity=OTHER)
        reply = shared.call("POST", "/api/v1/namespaces/_/actions/outer?blocking=true", {}, identity=OTHER)
        assert reply.json["response"]["result"]["n"] == 1


def python(code: str) -> dict[str, Any]:
    return {"exec": {"kind": "python:3.11", "code": code}}
