"""Compositions: what a conductor answers decides what runs next, and faults come back to it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from localwhisk import compositions, messages
from tests.functional.localwhisk.test_compositions import annotations, python
from tests.support.localwhisk_app import OTHER, ROOMY, LocalWhisk

CONDUCTOR = [{"key": "conductor", "value": True}]


def directed(args: dict[str, Any]) -> dict[str, Any]:
    """Does what its arguments say: {action, state, params, ...} runs the action with params and the rest."""
    if "error" in args:
        return args
    rest = {key: value for key, value in args.items() if key not in ("action", "state", "params")}
    answer = {"params": {**rest, **args.get("params", {})}}
    return answer | {key: args[key] for key in ("action", "state") if key in args}


def increment(args: dict[str, Any]) -> dict[str, Any]:
    return {"n": args["n"] + 1} if "n" in args else {"error": "missing parameter"}


@pytest.fixture
def local(new_local: Callable[..., LocalWhisk]) -> LocalWhisk:
    return prepared(new_local())


def prepared(local: LocalWhisk) -> LocalWhisk:
    """With two conductors, one of which gives back what it gets, and a step."""
    local.runtimes.behaviours |= {"directed": directed, "increment": increment}
    local.put_action("echo", "give-back", annotations=CONDUCTOR)
    local.put_action("conductor", "directed", annotations=CONDUCTOR)
    local.put_action("step", "increment", limits={"memory": 512})
    return local


def invoke(local: LocalWhisk, action: str, args: Any) -> Any:
    """The record, its components checked: each names the whole as its cause, and durations and memory fit."""
    record = local.call("POST", f"actions/{action}?blocking=true", args).json
    parts = [local.record(one) for one in record["logs"]]
    for part in parts:
        assert part["cause"] == record["activationId"]
        assert annotations(part)["causedBy"] == "sequence"
        assert "waitTime" in annotations(part)
    assert record["duration"] == sum(part["duration"] for part in parts)
    memories = [annotations(part)["limits"]["memory"] for part in parts]
    assert annotations(record)["limits"]["memory"] == max(memories)
    return record


@pytest.mark.parametrize(
    ("args", "status", "result"),
    [
        ({"payload": "t", "state": "t"}, "success", {"payload": "t", "state": "t"}),
        ({"error": "t"}, "application error", {"error": "t"}),
        ({"params": {"payload": "t"}, "result": "t", "state": "t"}, "success", {"payload": "t"}),
        ({"params": [1]}, "success", {"value": [1]}),
        ({"params": None}, "success", {"value": None}),
    ],
)
def test_an_answer_without_an_action_ends_it(local: LocalWhisk, args: Any, status: str, result: Any) -> None:
    """With `params` these are the result, without the whole answer is."""
    record = invoke(local, "echo", args)
    assert (record["response"]["status"], record["response"]["result"]) == (status, result)
    assert len(record["logs"]) == 1
    assert (annotations(record)["conductor"], annotations(record)["kind"]) == (True, "sequence")


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("##", '"##"'),
        ("/guest", '"/guest"'),
        ("a/b/c/d", '"a/b/c/d"'),
        ("", '""'),
        (5, "5"),
        (None, "null"),
        ({"a": 1}, '{"a":1}'),
    ],
)
def test_a_name_that_is_none_comes_back_as_an_error(local: LocalWhisk, reference: Any, shown: str) -> None:
    """The conductor runs again, with the error and without what it asked for."""
    record = invoke(local, "echo", {"payload": "t", "action": reference})
    text = f"Failed to parse action name from json value {shown} during composition."
    assert record["response"]["result"] == {"error": text}
    assert len(record["logs"]) == 2


@pytest.mark.parametrize("reference", ["missing", "/_/missing", "/guest/missing"])
def test_an_action_that_is_not_there_comes_back_as_an_error(local: LocalWhisk, reference: str) -> None:
    record = invoke(local, "echo", {"action": reference})
    text = "Failed to resolve action with name 'guest/missing' during composition."
    assert record["response"]["result"] == {"error": text}
    assert (record["response"]["status"], len(record["logs"])) == ("application error", 2)


@pytest.mark.parametrize(("reference", "name"), [("/other/a", "other/a"), ("nopackage/a", "guest/nopackage/a")])
def test_an_action_one_may_not_run_comes_back_as_an_error(
    local: LocalWhisk, reference: str, name: str
) -> None:
    local.call("PUT", "/api/v1/namespaces/other/actions/a", python("give-back"), identity=OTHER)
    record = invoke(local, "echo", {"action": reference})
    text = f"Failed entitlement check for action with name '{name}' during composition."
    assert record["response"]["result"] == {"error": text}


def test_the_state_is_there_when_an_error_comes_back(local: LocalWhisk) -> None:
    def stubborn(args: Any) -> Any:
        return {"params": args} if "error" in args else {"action": "##", "state": {"kept": 1}}

    local.runtimes.behaviours["stubborn"] = lambda args: {"seen": sorted(args)} if "kept" in args else stubborn(args)
    local.put_action("stubborn", "stubborn", annotations=CONDUCTOR)
    assert invoke(local, "stubborn", {"x": 1})["response"]["result"] == {"seen": ["error", "kept"]}


@pytest.mark.parametrize(
    ("args", "status", "result", "ran"),
    [
        ({"action": "step", "n": 1}, "success", {"n": 2}, 3),
        ({"action": "step"}, "application error", {"error": "missing parameter"}, 3),
        ({"action": "step", "state": {"witness": 42}, "n": 1}, "success", {"n": 2, "witness": 42}, 3),
        ({"action": "step", "state": {"action": "step"}, "n": 1}, "success", {"n": 3}, 5),
    ],
)
def test_an_action_runs_and_its_result_comes_back(
    local: LocalWhisk, args: Any, status: str, result: Any, ran: int
) -> None:
    record = invoke(local, "conductor", args)
    assert (record["response"]["status"], record["response"]["result"]) == (status, result)
    assert len(record["logs"]) == ran


@pytest.mark.parametrize("state", [7, None, "text", [1]])
def test_a_state_that_is_no_object_comes_back_as_one_of_its_own_name(local: LocalWhisk, state: Any) -> None:
    first = {"action": "step", "params": {"n": 1}, "state": state}
    local.runtimes.behaviours["stateful"] = lambda args: {"params": args} if "n" in args else first
    local.put_action("stateful", "stateful", annotations=CONDUCTOR)
    assert invoke(local, "stateful", {})["response"]["result"] == {"n": 2, "state": state}


def test_an_action_without_params_gets_only_its_own_parameters(local: LocalWhisk) -> None:
    local.runtimes.behaviours["bare"] = lambda args: args if "own" in args else {"action": "mine", "x": 1}
    local.put_action("bare", "bare", annotations=CONDUCTOR)
    local.put_action("mine", parameters=[{"key": "own", "value": 1}])
    assert invoke(local, "bare", {})["response"]["result"] == {"own": 1}


@pytest.mark.parametrize(
    ("args", "n", "ran"),
    [
        ({"action": "conductor", "params": {"action": "step"}, "n": 1}, 2, 3),
        ({"action": "conductor", "state": {"action": "step"}, "params": {"action": "step"}, "n": 1}, 3, 5),
        (
            {
                "action": "conductor",
                "state": {"action": "step"},
                "params": {
                    "action": "conductor",
                    "state": {"action": "step"},
                    "params": {"action": "step"},
                },
                "n": 1,
            },
            4,
            5,
        ),
    ],
)
def test_compositions_inside_compositions(local: LocalWhisk, args: Any, n: int, ran: int) -> None:
    record = invoke(local, "conductor", args)
    assert record["response"]["result"] == {"n": n}
    assert len(record["logs"]) == ran
    inner = local.record(record["logs"][1])
    assert (annotations(inner)["conductor"], annotations(inner)["topmost"]) == (True, False)


def test_a_composition_through_a_binding_tells_of_it(local: LocalWhisk) -> None:
    local.call("PUT", "packages/p", {})
    local.call("PUT", "packages/b", {"binding": {"namespace": "_", "name": "p"}})
    local.put_action("p/echo", "give-back", annotations=CONDUCTOR)
    record = invoke(local, "b/echo", {"payload": "t"})
    assert record["response"]["result"] == {"payload": "t"}
    assert annotations(record)["binding"] == "guest/b"


def test_sequences_and_compositions_inside_one_another(local: LocalWhisk) -> None:
    local.call("PUT", "actions/seq", sequence("step", "conductor"))
    assert invoke(local, "conductor", {"action": "seq", "n": 1})["response"]["result"] == {"n": 2}
    record = local.call("POST", "actions/seq?blocking=true", {"n": 1}).json
    assert record["response"]["result"] == {"n": 2}


def test_an_error_in_the_params_of_a_last_answer_ends_a_sequence(local: LocalWhisk) -> None:
    """The composition itself is a success then, as in the real server."""
    local.put_action("refuses", "give-back", annotations=CONDUCTOR, parameters=[{"key": "params", "value": {"error": "no"}}])
    local.call("PUT", "actions/seq", sequence("refuses", "step"))
    record = local.call("POST", "actions/seq?blocking=true", {"n": 1}).json
    assert (record["response"]["status"], record["response"]["result"]) == ("success", {"error": "no"})
    assert len(record["logs"]) == 1


def test_a_conductor_gets_no_array(local: LocalWhisk) -> None:
    local.put_action("array", "list")
    local.call("PUT", "actions/seq", sequence("array", "echo"))
    assert local.call("POST", "actions/seq?blocking=true&result=true", {}).json == {}


def test_an_array_of_a_conductor_ends_its_composition(local: LocalWhisk) -> None:
    local.put_action("arrays", "list", annotations=CONDUCTOR)
    reply = local.call("POST", "actions/arrays?blocking=true", {})
    assert (reply.status, reply.json["response"]["result"]) == (500, {"error": messages.COMPOSITION_FAILED})


def test_an_array_of_an_action_is_told_as_an_action_that_is_not_there(local: LocalWhisk) -> None:
    """So does the real server, which fails on it where it looks an action up."""
    local.put_action("array", "list")
    record = invoke(local, "conductor", {"action": "array"})
    text = messages.composition_component_missing("guest/array")
    assert (record["response"]["result"], len(record["logs"])) == ({"error": text}, 3)


def test_what_names_itself_through_a_sequence_ends(local: LocalWhisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sequence begins a count of its own, so nothing else would end it."""
    monkeypatch.setattr(compositions, "MOST_ACTIVATIONS", 40)
    runs: list[Any] = []

    def again(args: dict[str, Any]) -> dict[str, Any]:
        runs.append(args)
        return {"action": "seq"} if len(runs) < 100 else {}

    local.runtimes.behaviours["again"] = again
    local.put_action("again", "again", annotations=CONDUCTOR)
    local.call("PUT", "actions/seq", sequence("again"))
    record = local.call("POST", "actions/again?blocking=true", {}).json
    assert record["response"]["result"] == {"error": messages.COMPOSITION_TOO_LONG}
    assert len(runs) == 14, "each level is three activations: a conductor, a sequence, and the composition in that"


def sequence(*components: str) -> dict[str, Any]:
    return {"exec": {"kind": "sequence", "components": [f"/_/{one}" for one in components]}}


@pytest.fixture
def short(new_local: Callable[..., LocalWhisk]) -> LocalWhisk:
    """With compositions of three at most."""
    return prepared(new_local(limits=replace(ROOMY, sequence_length=3)))


def test_a_composition_of_as_many_as_allowed(short: LocalWhisk) -> None:
    state = {"action": "step", "state": {"action": "step"}}
    record = invoke(short, "conductor", {"action": "step", "state": state, "n": 1})
    assert (record["response"]["result"], len(record["logs"])) == ({"n": 4}, 7)


def steps_in_state(count: int) -> dict[str, Any]:
    """Arguments that make the conductor run so many steps, one after another."""
    args: dict[str, Any] = {}
    for _ in range(count):
        args = {"action": "step", "state": args}
    return args


def conductors_in_params(depth: int) -> dict[str, Any]:
    """Arguments that make the conductor invoke itself, so many levels deep."""
    args: dict[str, Any] = {}
    for _ in range(depth):
        args = {"action": "conductor", "params": args}
    return args


@pytest.mark.parametrize(
    ("args", "n"),
    [
        (steps_in_state(3), 3),
        (steps_in_state(4), None),
        ({"action": "conductor", "params": steps_in_state(3)}, 3),
        ({"action": "conductor", "params": steps_in_state(4)}, None),
        (conductors_in_params(3), 0),
        (conductors_in_params(4), None),
    ],
)
def test_the_limit_holds_for_all_levels_together(short: LocalWhisk, args: Any, n: int | None) -> None:
    """So many components, and twice as many and one runs of conductors; None is too many."""
    result = short.result("conductor", {**args, "n": 0})
    assert result == ({"error": messages.COMPOSITION_TOO_LONG} if n is None else {"n": n})


def test_one_too_many_is_told_the_conductor(short: LocalWhisk) -> None:
    """It would go on for ever; the fourth does not run."""
    short.runtimes.behaviours["more"] = lambda args: (
        {"params": args} if "error" in args else {"action": "step", "params": {"n": args.get("n", 0)}}
    )
    short.put_action("more", "more", annotations=CONDUCTOR)
    record = short.call("POST", "actions/more?blocking=true", {}).json
    assert record["response"]["result"] == {"error": messages.COMPOSITION_TOO_LONG}
    assert len(record["logs"]) == 3 * 2 + 2


def test_a_conductor_that_does_not_listen_is_ended(short: LocalWhisk) -> None:
    short.runtimes.behaviours["deaf"] = lambda _: {"action": "##"}
    short.put_action("deaf", "deaf", annotations=CONDUCTOR)
    record = short.call("POST", "actions/deaf?blocking=true", {}).json
    assert record["response"]["result"] == {"error": messages.COMPOSITION_TOO_LONG}
    assert len(record["logs"]) == 2 * 3 + 1


def test_compositions_inside_share_the_account(short: LocalWhisk) -> None:
    """Else one that invokes itself would never end."""
    short.runtimes.behaviours["self"] = lambda args: {"params": args} if "error" in args else {"action": "self"}
    short.put_action("self", "self", annotations=CONDUCTOR)
    record = short.call("POST", "actions/self?blocking=true", {}).json
    assert record["response"]["result"] == {"error": messages.COMPOSITION_TOO_LONG}
    assert len(short.runtimes.runs) == 2 * 3 + 1
