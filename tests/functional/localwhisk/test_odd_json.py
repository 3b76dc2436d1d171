"""JSON of an odd kind at every door: kept as the real server keeps it, or refused by 400; never an error of the engine."""

import json

import pytest

from tests.support.localwhisk_app import LocalWhisk

ODD = {
    "5000 digits": ("1" * 5_000, 400),
    "5000 digits, negative": ("-" + "1" * 5_000, 400),
    "5000 decimals": ("1." + "1" * 5_000, 400),
    "30 digits": ("123456789012345678901234567890", 0),
    "beyond a double": ("1e400", 0),
    "far beyond a double": ("1e999999999", 0),
    "below a double": ("1e-400", 0),
    "minus zero": ("-0", 0),
    "NaN": ("NaN", 400),
    "Infinity": ("-Infinity", 400),
    "half a character": ('"\\ud800"', 0),
    "zero character": ('{"\\u0000":"\\u0000"}', 0),
    "one name twice": ('{"a":1,"a":2}', 0),
    "deep": ("[" * 998 + "]" * 998, 0),
    "too deep": ("[" * 1_002 + "]" * 1_002, 400),
}
DOORS = {
    "an action's parameter": ("PUT", "actions/new", '{"exec":{"kind":"python:3.11","code":"give-back"},"parameters":[{"key":"x","value":%s}]}'),
    "an action's annotation": ("PUT", "actions/new", '{"exec":{"kind":"python:3.11","code":"x"},"annotations":[{"key":"x","value":%s}]}'),
    "an action's limit": ("PUT", "actions/new", '{"exec":{"kind":"python:3.11","code":"x"},"limits":{"timeout":%s}}'),
    "an action's code": ("PUT", "actions/new", '{"exec":{"kind":"python:3.11","code":%s}}'),
    "a package": ("PUT", "packages/new", '{"parameters":[{"key":"x","value":%s}],"publish":false}'),
    "a package's flag": ("PUT", "packages/new", '{"publish":%s}'),
    "a trigger": ("PUT", "triggers/new", '{"parameters":[{"key":"x","value":%s}]}'),
    "a rule": ("PUT", "rules/new", '{"trigger":%s,"action":"a"}'),
    "a rule's status": ("POST", "rules/r", '{"status":%s}'),
    "an invocation": ("POST", "actions/a?blocking=true", '{"x":%s}'),
    "a fire": ("POST", "triggers/t", '{"x":%s}'),
    "a bare value": ("POST", "actions/a?blocking=true", "%s"),
}


@pytest.fixture
def wired(local: LocalWhisk) -> LocalWhisk:
    local.put_action("a", parameters=[{"key": "bound", "value": 1}])
    local.put_action("web", annotations=[{"key": "web-export", "value": True}])
    local.call("PUT", "triggers/t", {})
    local.put_rule("r", "t", "a")
    return local


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("door", DOORS)
def test_no_json_is_an_error_of_the_engine(wired: LocalWhisk, door: str, odd: str) -> None:
    (method, path, form), (text, status) = DOORS[door], ODD[odd]
    reply = wired.call(method, path, (form % text).encode())

    assert reply.status < 500, reply.body
    assert not status or reply.status == status, reply.body
    if reply.status < 300 and method == "PUT":
        assert wired.call("GET", path).status == 200
    wired.run(wired.engine.invoker.drain(60))


@pytest.mark.parametrize("number", ["123456789012345678901234567890", "1E+400", "1E-400"])
def test_a_number_comes_back_from_a_parameter_as_it_was_given(wired: LocalWhisk, number: str) -> None:
    reply = wired.call("PUT", "packages/p", b'{"parameters":[{"key":"x","value":[%b]}]}' % number.encode())

    assert number in reply.body.decode()
    assert number in wired.call("GET", "packages/p").body.decode()


def test_the_last_of_two_members_with_one_name_counts_as_in_the_real_server(wired: LocalWhisk) -> None:
    reply = wired.call("POST", "actions/a?blocking=true&result=true", b'{"x":1,"x":2}')

    assert json.loads(reply.body) == {"bound": 1, "x": 2}
