import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.localwhisk_app import ROOMY, LocalWhisk

PARAMETERS = [{"key": "tp", "value": "trig"}, {"key": "ov", "value": "trig"}]


@pytest.fixture
def wired(local: LocalWhisk) -> LocalWhisk:
    local.put_action("a")
    local.call("PUT", "triggers/t", {"parameters": PARAMETERS})
    local.put_rule("r", "t", "a")
    return local


def fire(local: LocalWhisk, body: Any = None, **headers: str) -> Any:
    """The record of a fire, when all its actions have ended."""
    reply = local.call("POST", "triggers/t", body, headers=headers)
    assert reply.status == 202, reply.body
    local.run(local.engine.invoker.drain(60))
    return local.record(reply.json["activationId"])


def lines(record: Any) -> list[Any]:
    return [json.loads(line) for line in record["logs"]]


def test_a_fire_is_recorded_with_a_line_a_rule(wired: LocalWhisk) -> None:
    record = fire(wired, {"ov": "pay", "x": 1})
    assert record["response"] == {"result": {"ov": "pay", "x": 1}, "status": "success", "success": True}
    assert record["annotations"] == []
    assert not {"end", "duration", "cause"} & record.keys()
    (line,) = lines(record)
    activation = line.pop("activationId")
    assert line == {"statusCode": 0, "success": True, "rule": "guest/r", "action": "guest/a"}
    arguments = wired.record(activation)["response"]["result"]
    assert arguments["__ow_headers"]["authorization"].startswith("Basic ")
    assert {**arguments, "__ow_headers": 0} == {"tp": "trig", "ov": "pay", "x": 1, "__ow_headers": 0}


def test_headers_of_a_fire_can_be_replaced_by_the_payload(wired: LocalWhisk) -> None:
    record = fire(wired, {"__ow_headers": {"a": "b"}})
    result = wired.record(lines(record)[0]["activationId"])["response"]["result"]
    assert result["__ow_headers"] == {"a": "b"}
    record = fire(wired, {}, **{"x-foo": "Bar"})
    headers = wired.record(lines(record)[0]["activationId"])["response"]["result"]["__ow_headers"]
    assert headers["x-foo"] == "Bar"
    assert "content-type" not in headers


def test_without_an_active_rule_there_is_nothing(wired: LocalWhisk) -> None:
    wired.call("POST", "rules/r", {"status": "inactive"})
    reply = wired.call("POST", "triggers/t", {})
    assert (reply.status, reply.body) == (204, b"")
    assert wired.call("GET", "activations?count=true").json == {"activations": 0}


def test_lines_of_rules_that_did_not_run(wired: LocalWhisk) -> None:
    wired.put_action("b")
    wired.put_rule("off", "t", "a")
    wired.put_rule("gone", "t", "b")
    wired.call("POST", "rules/off", {"status": "inactive"})
    wired.call("DELETE", "actions/b")
    by_rule = {line["rule"]: line for line in lines(fire(wired, {}))}
    assert by_rule["guest/r"]["success"]
    assert by_rule["guest/off"] == {
        "statusCode": 1,
        "success": False,
        "rule": "guest/off",
        "error": "Rule 'guest/off' is inactive, action 'guest/a' was not activated.",
        "action": "guest/a",
    }
    assert by_rule["guest/gone"]["error"] == "The requested resource does not exist."


def test_rule_fired_actions_use_the_budget_of_invocations(new_local: Callable[..., LocalWhisk]) -> None:
    local = new_local(limits=replace(ROOMY, invocations_per_minute=1), clock=lambda: 1_000_000_000_000)
    local.put_action("a")
    local.call("PUT", "triggers/t", {})
    local.put_rule("r", "t", "a")
    assert lines(fire(local, {}))[0]["success"]
    (refused,) = lines(fire(local, {}))
    assert refused["error"] == "Too many requests in the last minute (count: 2, allowed: 1)."


def test_fires_have_a_budget_of_their_own(new_local: Callable[..., LocalWhisk]) -> None:
    local = new_local(limits=replace(ROOMY, fires_per_minute=1), clock=lambda: 1_000_000_000_000)
    local.call("PUT", "triggers/t", {})
    assert local.call("POST", "triggers/t", {}).status == 204
    assert (
        local.call("POST", "triggers/t", {}).error
        == "Too many requests in the last minute (count: 2, allowed: 1)."
    )


def test_payload_and_parameters_together_beyond_a_megabyte(wired: LocalWhisk) -> None:
    record = fire(wired, {"x": "z" * (1048576 - 20)})
    assert "Request larger than allowed: " in lines(record)[0]["error"]
    assert wired.call("POST", "triggers/t", {"x": "z" * 1048576}).status == 413


def test_life_of_a_rule(wired: LocalWhisk) -> None:
    created = wired.call("GET", "rules/r").json
    assert (created["status"], created["trigger"], created["action"]) == (
        "active",
        {"name": "t", "path": "guest"},
        {"name": "a", "path": "guest"},
    )
    assert "status" not in wired.call("GET", "rules").json[0]
    assert (
        wired.call("POST", "rules/r", {"status": "inactive", "trigger": None, "action": None}).body == b"OK"
    )
    updated = wired.call(
        "PUT", "rules/r?overwrite=true", {"trigger": "/_/t", "action": "/_/a", "status": ""}
    ).json
    assert (updated["status"], updated["version"]) == ("inactive", "0.0.2")
    assert wired.call("DELETE", "rules/r").json["status"] == "inactive"
    assert wired.call("GET", "triggers/t").json["rules"] == {}


def test_a_rule_moves_to_another_trigger(wired: LocalWhisk) -> None:
    wired.call("PUT", "triggers/u", {})
    moved = wired.call("PUT", "rules/r?overwrite=true", {"trigger": "/_/u"}).json
    assert (moved["trigger"]["name"], moved["action"]["name"], moved["status"]) == ("u", "a", "active")
    assert wired.call("GET", "triggers/t").json["rules"] == {}
    assert wired.call("GET", "triggers/u").json["rules"] == {
        "guest/r": {"action": {"name": "a", "path": "guest"}, "status": "active"}
    }


def test_a_rule_outlives_its_trigger_and_is_inactive(wired: LocalWhisk) -> None:
    wired.call("DELETE", "triggers/t")
    assert wired.call("GET", "rules/r").json["status"] == "inactive"
    reply = wired.call("POST", "rules/r", {"status": "active"})
    assert (reply.status, reply.error) == (404, "Only rules with existing triggers can be activated")
    assert wired.call("POST", "rules/r", {"status": "inactive"}).status == 200
    assert wired.call("DELETE", "rules/r").status == 200


def test_an_update_of_a_trigger_keeps_its_rules(wired: LocalWhisk) -> None:
    updated = wired.call("PUT", "triggers/t?overwrite=true", {"annotations": [{"key": "d", "value": 2}]}).json
    assert list(updated["rules"]) == ["guest/r"]
    assert (updated["version"], updated["parameters"], updated["limits"]) == ("0.0.2", PARAMETERS, {})


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"trigger": "/_/nope", "action": "/_/a"}, 400, "trigger /guest/nope does not exist"),
        ({"trigger": "/_/t", "action": "/_/nope"}, 400, "action /guest/nope does not exist"),
        ({"action": "/_/a"}, 400, "rule requires a valid trigger and a valid action"),
        ({"trigger": "/_/t"}, 400, "rule requires a valid trigger and a valid action"),
        ({"trigger": "t", "action": "/_/a"}, 400, "must contain at least the namespace"),
        ({"trigger": "/_/t", "action": 5}, 400, "fully qualified name malformed"),
        ({"trigger": "/_/t", "action": "/_/nopackage/a"}, 404, "The requested resource does not exist."),
        ({"trigger": "/other/t", "action": "/_/a"}, 403, "'other/t'"),
        ({"trigger": "/other/t", "action": "/other/a"}, 403, "'other/a, other/t'"),
        ({"trigger": "/other/t", "version": "x"}, 400, "semantic version malformed"),
        ({"trigger": "/_/a", "action": "/_/a"}, 400, "not in this collection"),
    ],
)
def test_rules_that_are_refused(wired: LocalWhisk, body: Any, status: int, text: str) -> None:
    reply = wired.call("PUT", "rules/x", body)
    assert reply.status == status
    assert text in reply.error


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "key not found: status"),
        ({"status": "paused"}, "requirement failed: paused is not a recognized rule state"),
        ({"status": " "}, "requirement failed: argument undefined"),
        ({"status": None}, "null (of class spray.json.JsNull$)"),
        ({"status": True}, "true (of class spray.json.JsTrue$)"),
        ({"status": 1}, "1 (of class spray.json.JsNumber)"),
        ({"status": {"a": 1}}, '{"a":1} (of class spray.json.JsObject)'),
        ([1], "[1] (of class spray.json.JsArray)"),
        ("active", '"active" (of class spray.json.JsString)'),
    ],
)
def test_states_there_are_not(wired: LocalWhisk, body: Any, text: str) -> None:
    reply = wired.call("POST", "rules/r", body)
    assert (reply.status, reply.error) == (400, f"The request content was malformed:\n{text}")


def test_a_state_may_have_spaces_around_it(wired: LocalWhisk) -> None:
    assert wired.call("POST", "rules/r", {"status": " inactive "}).status == 200
    assert wired.call("GET", "rules/r").json["status"] == "inactive"


def test_feed_annotations_must_be_names(local: LocalWhisk) -> None:
    reply = local.call("PUT", "triggers/t", {"annotations": [{"key": "feed", "value": 5}]})
    assert (reply.status, reply.error) == (400, "Feed name is not valid")
