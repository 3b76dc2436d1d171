"""What the real server's HTTP layer makes of a request before any entity is looked at."""

import base64
from typing import Any

import pytest

from localwhisk import messages
from tests.support.localwhisk_app import GUEST, LocalWhisk

API_METHODS = "GET, DELETE, POST, PUT, HEAD"
SERVER_METHODS = "OPTIONS, GET, POST"
PYTHON = {"exec": {"kind": "python:3.11", "code": "give-back"}}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", SERVER_METHODS),
        ("/ping", SERVER_METHODS),
        ("/metrics", SERVER_METHODS),
        ("/invokers/ready", SERVER_METHODS),
        ("/no/such/thing", SERVER_METHODS),
        ("/api/v1", API_METHODS),
        ("/api/v1/foo/bar", API_METHODS),
        ("/api/v1/namespaces", API_METHODS),
        ("/api/v1/namespaces/nobody/actions/none", API_METHODS),
        ("/api/v1/namespaces/nobody/activations/none/logs", API_METHODS),
        ("/api/v1/web/guest", API_METHODS),
    ],
)
def test_options_of_everything(local: LocalWhisk, path: str, methods: str) -> None:
    """Whether it is there or not, without a key, in whatever form is accepted."""
    reply = local.call("OPTIONS", path, identity=None, headers={"accept": "application/json"})
    assert (reply.status, reply.body, reply.header("content-type")) == (200, b"OK", "text/plain; charset=UTF-8")
    assert reply.header("access-control-allow-methods") == methods
    assert reply.header("access-control-allow-origin") == "*"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/metrics", "OPTIONS"),
        ("POST", "/metrics", "OPTIONS"),
        ("GET", "/ping/", "OPTIONS"),
        ("GET", "/api", "OPTIONS"),
        ("POST", "/ping", "GET, OPTIONS"),
        ("HEAD", "/ping", "GET, OPTIONS"),
        ("DELETE", "/", "GET, OPTIONS"),
        ("POST", "/invokers", "OPTIONS, GET"),
        ("PUT", "/activation/count", "OPTIONS, GET"),
    ],
)
def test_methods_that_are_not_allowed(local: LocalWhisk, method: str, path: str, allowed: str) -> None:
    reply = local.call(method, path, identity=None)
    assert (reply.status, reply.header("allow")) == (405, allowed)
    assert method == "HEAD" or reply.error == messages.method_not_allowed(allowed)


@pytest.mark.parametrize("path", ["/api/v1/web/guest/default/a.json?a[]=1", "actions/{a}", "/%zz", "/a/../[b]"])
def test_malformed_targets_are_refused_before_anything_else(local: LocalWhisk, path: str) -> None:
    reply = local.call("GET", path, identity=None)
    assert (reply.status, reply.header("content-type")) == (400, "text/plain; charset=UTF-8")
    assert reply.header("connection") == "close"
    assert reply.body.startswith(b"Illegal request-target: Invalid input")


def test_below_the_invokers_there_is_nothing_else(local: LocalWhisk) -> None:
    reply = local.call("GET", "/invokers/none", identity=None)
    assert (reply.status, reply.error) == (404, messages.ROUTE_NOT_FOUND)


@pytest.mark.parametrize(
    ("method", "path", "body", "offered"),
    [
        ("GET", "/ping", None, "text/plain"),
        ("GET", "/api/info", None, "application/json"),
        ("GET", "/api/v1", None, "application/json"),
        ("GET", "/api/v1/api-docs", None, "application/json"),
        ("GET", "/invokers", None, "application/json"),
        ("GET", "/api/v1/namespaces", None, "application/json"),
        ("GET", "actions", None, "application/json"),
        ("GET", "actions/a", None, "application/json"),
        ("GET", "actions/none", None, "application/json"),
        ("PUT", "packages/p", {}, "application/json"),
        ("POST", "actions/a", {}, "application/json"),
        ("GET", "activations?limit=1", None, "application/json"),
        ("GET", "limits", None, "application/json"),
    ],
)
def test_answers_obey_the_accept_header(
    local: LocalWhisk, method: str, path: str, body: Any, offered: str
) -> None:
    local.put_action("a")
    identity = GUEST if not path.startswith("/") or "namespaces" in path else None
    refused = local.call(method, path, body, identity=identity, headers={"accept": "image/*"})
    assert (refused.status, refused.error) == (406, messages.not_acceptable(offered))
    assert refused.header("content-type") == "application/json"
    assert refused.header("access-control-allow-origin") is None
    accept = {"accept": f"image/*, {offered};q=0.1"}
    assert local.call(method, path, body, identity=identity, headers=accept).status != 406


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/none", None, 404),
        ("GET", "actions/a!b", None, 400),
        ("GET", "actions?limit=x", None, 400),
        ("PUT", "actions/x", {"exec": {}}, 400),
        ("PUT", "triggers/x", b"{", 400),
        ("GET", "/nothing", None, 405),
        ("POST", "rules/r", {"status": "active"}, 200),
        ("POST", "triggers/unused", {}, 204),
    ],
)
def test_rejections_and_answers_without_a_type_do_not(
    local: LocalWhisk, method: str, path: str, body: Any, status: int
) -> None:
    local.put_action("a")
    for trigger in ("t", "unused"):
        local.call("PUT", f"triggers/{trigger}", {})
    local.put_rule("r", "t", "a")
    assert local.call(method, path, body, headers={"accept": "image/*"}).status == status


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=1.5", "The value '1.5' is not an integer for actions."),
        ("limit=", "The value '' is not an integer for actions."),
        ("limit=1_0", "The value '1_0' is not an integer for actions."),
        ("limit=2147483648", "The value '2147483648' is not an integer for actions."),
        ("limit=-1", "The value '-1' is not in the range of 0 to 200 for actions."),
        ("skip=%201", "The value ' 1' is not an integer for actions."),
        ("skip=-1", "The value '-1' is not greater than or equal to 0 for actions."),
        ("count=PerHaps", "'perhaps' is not a valid Boolean value"),
        ("skip=x&limit=x", "The value 'x' is not an integer for actions."),
    ],
)
def test_malformed_parameters(local: LocalWhisk, query: str, text: str) -> None:
    reply = local.call("GET", f"actions?{query}")
    name = "limit" if query.startswith("limit") else query.partition("=")[0]
    assert (reply.status, reply.error) == (400, messages.query_malformed(name, text))


@pytest.mark.parametrize("query", ["limit=%2B1", "limit=0", "skip=0", "count", "count=", "count=OFF", "limit=1&limit=x"])
def test_parameters_that_are_right(local: LocalWhisk, query: str) -> None:
    assert local.call("GET", f"actions?{query}").json == []


def test_a_query_is_read_before_an_entity_is_looked_for(local: LocalWhisk) -> None:
    assert local.call("GET", "actions/none?code=perhaps").status == 400


def test_a_boolean_without_a_value_is_left_out(local: LocalWhisk) -> None:
    local.put_action("a")
    assert "code" in local.call("GET", "actions/a?code=").json["exec"]
    assert "code" not in local.call("GET", "actions/a?code=no").json["exec"]
    assert local.call("POST", "actions/a?blocking", {}).status == 202


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("name", "a/b/c", "Parameter may be a 'simple' name or 'package-name/simple' name: a/b/c"),
        ("name", "0 ", "Parameter may be a 'simple' name or 'package-name/simple' name: 0 "),
        ("name", "/", "Parameter may be a 'simple' name or 'package-name/simple' name: /"),
        ("since", "", "Parameter is not a valid value for epoch seconds: "),
        ("since", "1.5", "Parameter is not a valid value for epoch seconds: 1.5"),
        ("upto", "9223372036854775808", "Parameter is not a valid value for epoch seconds: 9223372036854775808"),
    ],
)
def test_malformed_filters_of_activations(local: LocalWhisk, name: str, value: str, text: str) -> None:
    reply = local.call("GET", f"activations?{name}={value.replace(' ', '%20')}")
    assert (reply.status, reply.error) == (400, messages.query_malformed(name, text))


@pytest.mark.parametrize("value", ["", "%20", "abc", "abc/xyz", "/abc//xyz/"])
def test_names_that_filter_activations(local: LocalWhisk, value: str) -> None:
    assert local.call("GET", f"activations?name={value}").json == []


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc"])
def test_the_scheme_is_read_in_any_case(local: LocalWhisk, scheme: str) -> None:
    known = local.engine.identities.of_namespace("guest")
    assert known is not None
    headers = {"authorization": f"{scheme} {base64.b64encode(known.auth.encode()).decode()}"}
    assert local.call("GET", "/api/v1/namespaces", identity=None, headers=headers).json == ["guest"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("n" * 257 + "/actions", "Namespace longer than allowed: 257 > 256."),
        ("_/actions/" + "n" * 257, "Name segement longer than allowed: 257 > 256."),
        ("_/actions/p/" + "n" * 257, "Name segement longer than allowed: 257 > 256."),
        ("_/actions/" + "n" * 257 + "/a", "Name segement longer than allowed: 257 > 256."),
        ("_/rules/a%2Fb", messages.NAME_ILLEGAL),
        ("_/triggers/%ff", messages.NAME_ILLEGAL),
        ("a%20b!/packages", messages.NAMESPACE_ILLEGAL),
    ],
)
def test_names_in_a_path(local: LocalWhisk, path: str, text: str) -> None:
    reply = local.call("GET", f"/api/v1/namespaces/{path}")
    assert (reply.status, reply.error) == (400, text)


@pytest.mark.parametrize(
    ("collection", "body", "text"),
    [
        ("actions", {**PYTHON, "version": "x"}, "semantic version malformed"),
        ("actions", {**PYTHON, "publish": 1}, "Expected JsBoolean, but got 1"),
        ("actions", {**PYTHON, "delAnnotations": "a"}, 'Expected Array as JsArray, but got "a"'),
        ("actions", {**PYTHON, "delAnnotations": [1]}, "Expected String as JsString, but got 1"),
        ("actions", {**PYTHON, "limits": 5, "version": "x"}, "Object expected in field 'timeout'"),
        ("actions", {"exec": 5, "parameters": 5}, "JSON object expected"),
        ("actions", {**PYTHON, "parameters": 5, "limits": 5}, "parameters malformed!"),
        ("actions", {**PYTHON, "annotations": {}}, "parameters malformed!"),
        ("triggers", {"limits": 5}, "Object expected"),
        ("triggers", {"exec": {"kind": "cobol"}}, "The specified runtime 'cobol' is not supported"),
        ("triggers", {"publish": "yes", "version": []}, "semantic version malformed"),
        ("packages", {"publish": {"a": None}}, 'Expected JsBoolean, but got {"a":null}'),
        ("rules", {"trigger": 5, "publish": 5}, "fully qualified name malformed"),
        ("rules", {"trigger": {"path": "_"}}, "fully qualified name malformed"),
        ("rules", {"trigger": "/_/t!", "action": "/_/a"}, "requirement failed: path contains invalid parts ArraySeq(_, t!)"),
        ("rules", {"annotations": [{"key": "k"}], "trigger": 5}, "parameters malformed!"),
        ("rules", [], "Object expected in field 'exec'"),
        ("triggers", "x", "Object expected in field 'exec'"),
    ],
)
def test_malformed_bodies(local: LocalWhisk, collection: str, body: Any, text: str) -> None:
    reply = local.call("PUT", f"{collection}/x", body)
    assert reply.status == 400
    assert reply.error.startswith(f"The request content was malformed:\n{text}")
    assert reply.header("access-control-allow-origin") is None


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [
        ("Text/Plain;charset=utf-8", "text/plain; charset=UTF-8"),
        ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded"),
        ("application/hal+json", "application/hal+json"),
        ("garbage", "garbage"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_bodies_of_another_type(local: LocalWhisk, content_type: str, shown: str, body: bytes) -> None:
    """Empty ones, too."""
    reply = local.call("PUT", "packages/p", body, headers={"content-type": content_type})
    assert (reply.status, reply.error) == (415, messages.unsupported_type(shown))


def test_the_default_package_has_no_name_in_the_api(local: LocalWhisk) -> None:
    local.put_action("a")
    assert local.call("GET", "actions/default/a").status == 404


@pytest.mark.parametrize("member", ["exec", "parameters", "annotations", "limits", "version", "publish"])
@pytest.mark.parametrize("collection", ["actions", "triggers", "packages"])
def test_null_is_left_out(local: LocalWhisk, collection: str, member: str) -> None:
    body = {**PYTHON, member: None} if collection == "actions" else {member: None}
    status = 400 if (collection, member) == ("actions", "exec") else 200
    assert local.call("PUT", f"{collection}/x", body).status == status


def test_a_query_comes_after_what_the_limits_are_about_and_before_the_rest(local: LocalWhisk) -> None:
    def error(body: Any) -> str:
        return local.call("PUT", "actions/x?overwrite=maybe", body).error

    assert error({**PYTHON, "parameters": 5}) == messages.malformed("parameters malformed!")
    assert error({**PYTHON, "version": "x"}) == messages.query_malformed("overwrite", messages.not_boolean("maybe"))


def test_annotations_keep_their_order_and_the_servers_come_last(local: LocalWhisk) -> None:
    given = [{"key": "z", "value": 1}, {"key": "a", "value": 2}]
    made = local.put_action("x", annotations=given).json["annotations"]
    assert [pair["key"] for pair in made] == ["z", "a", "provide-api-key", "exec"]
    own = [{"key": "exec", "value": "mine"}, {"key": "provide-api-key", "value": ""}]
    made = local.put_action("y", annotations=own).json["annotations"]
    assert made == [{"key": "exec", "value": "python:3.11"}, {"key": "provide-api-key", "value": ""}]


def test_more_than_four_annotations_come_by_hash(local: LocalWhisk) -> None:
    local.put_action("x", annotations=[{"key": "final", "value": False}, {"key": "description", "value": "d"}])
    made = local.put_action("x", annotations=[{"key": "new", "value": "x"}]).json["annotations"]
    assert [pair["key"] for pair in made] == ["description", "final", "exec", "new", "provide-api-key"]
