import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from localwhisk import messages
from tests.support.localwhisk_app import GUEST, OTHER, ROOMY, LocalWhisk, Reply

WEB = "/api/v1/web/guest/default"


def ask(local: LocalWhisk, target: str, method: str = "GET", body: Any = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return local.call(method, f"{WEB}/{target}", body, identity=None, headers=named)


@pytest.fixture
def web(local: LocalWhisk) -> LocalWhisk:
    local.put_web("a")
    local.runtimes.behaviours["page"] = lambda args: {"headers": {"X-My": "1"}, "body": args["__ow_method"]}
    local.put_web("page", "page")
    return local


def test_arguments_of_a_get(web: LocalWhisk) -> None:
    reply = ask(web, "a.json?a=1&b=x%20y&a=2&e=&p=+", user_agent="test")
    assert reply.json == {
        "__ow_method": "get",
        "__ow_headers": {"host": "whisk.test", "user-agent": "test"},
        "__ow_path": "",
        "a": "2",
        "b": "x y",
        "e": "",
        "p": " ",
    }
    assert reply.header("x-openwhisk-activation-id")


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"x":1,"q":2}', {"x": 1, "q": 2}),
        ("application/json; charset=utf-8", '{"x":"\u00e9"}'.encode(), {"x": "\u00e9", "q": "1"}),
        ("application/vnd.api+json", b'{"x":1}', {"x": 1, "q": "1"}),
        ("application/json", b"[1,2]", {"__ow_body": [1, 2], "q": "1"}),
        ("application/json", b'"s"', {"__ow_body": "s", "q": "1"}),
        ("application/json", b"", {"q": "1"}),
        ("application/x-www-form-urlencoded", b"a=1&b=two+words&a=3", {"a": "3", "b": "two words", "q": "1"}),
        ("text/plain", b"plain", {"__ow_body": "plain", "q": "1"}),
        ("application/xml", b"<a/>", {"__ow_body": "<a/>", "q": "1"}),
        ("application/octet-stream", b"\x00\x01\xff", {"__ow_body": "AAH/", "q": "1"}),
        ("text/yaml", b"a: 1", {"__ow_body": "YTogMQ==", "q": "1"}),
        ("text/yaml; charset=utf-8", b"a: 1", {"__ow_body": "a: 1", "q": "1"}),
        ("text/plain; charset=iso-8859-1", "\u00e9".encode(), {"__ow_body": "\u00e9", "q": "1"}),
        ("text/plain; charset=iso-8859-1", b"\xe9", {"__ow_body": "\ufffd", "q": "1"}),
        ("application/x-www-form-urlencoded; charset=iso-8859-1", b"a=%E9", {"a": "\u00e9", "q": "1"}),
        ("garbage", b"x", {"__ow_body": "eA==", "q": "1"}),
    ],
)
def test_bodies(web: LocalWhisk, content_type: str, body: bytes, expected: Any) -> None:
    arguments = ask(web, "a.json?q=1", "POST", body, content_type=content_type).json
    assert {
        key: value
        for key, value in arguments.items()
        if key not in ("__ow_method", "__ow_headers", "__ow_path")
    } == expected


@pytest.mark.parametrize(
    ("content_type", "body", "shown"),
    [
        ("application/json", b'{"x": 1}', base64.b64encode(b'{"x": 1}').decode()),
        ("text/plain", b"hello", "hello"),
        ("application/x-www-form-urlencoded", b"a=1", "a=1"),
        ("image/png", b"\x00", "AA=="),
    ],
)
def test_raw_http_merges_nothing(web: LocalWhisk, content_type: str, body: bytes, shown: str) -> None:
    web.put_web("raw", raw_http=True)
    arguments = ask(web, "raw.json?q=1&__ow_method=x", "POST", body, content_type=content_type).json
    assert (arguments["__ow_body"], arguments["__ow_query"]) == (shown, "q=1&__ow_method=x")
    assert "q" not in arguments


def test_the_rest_of_the_path(web: LocalWhisk) -> None:
    assert ask(web, "a.json/x/y%20z").json["__ow_path"] == "/x/y%20z"
    assert ask(web, "a.json/a.b.c").json["__ow_path"] == "/a.b.c"
    assert ask(web, "a.json/").json["__ow_path"] == "/"


@pytest.mark.parametrize(
    "target", ["nope.json", "a.JSON", "a.x.json", "private.json", "yes.json"]
)
def test_what_is_not_exported_is_not_there(web: LocalWhisk, target: str) -> None:
    web.put_action("private")
    web.put_web("yes", web_export="yes")
    reply = ask(web, target)
    assert (reply.status, reply.error) == (404, messages.NOT_FOUND)
    assert reply.header("access-control-allow-origin") is None


@pytest.mark.parametrize(
    "path",
    ["guest/default/a%2Fb.json", "guest/default/-a", "guest/default/.http", "guest/default/" + "a" * 257, "guest/p%20/a", "%00/default/a", "guest//a"],
)
def test_what_can_be_no_name_is_no_web_action(web: LocalWhisk, path: str) -> None:
    """It is left to the API, which asks for a key first."""
    target = f"/api/v1/web/{path}"
    anonymous, known = web.call("GET", target, identity=None), web.call("GET", target)
    assert (anonymous.status, anonymous.error) == (401, messages.AUTH_MISSING)
    assert (known.status, known.error) == (404, messages.ROUTE_NOT_FOUND)
    assert web.call("OPTIONS", target, identity=None).status == 200


@pytest.mark.parametrize("namespace", ["nosuch", "_"])
def test_unknown_namespaces(web: LocalWhisk, namespace: str) -> None:
    assert web.call("GET", f"/api/v1/web/{namespace}/default/a.json").status == 404


def test_a_name_may_hold_a_dot(web: LocalWhisk) -> None:
    web.put_web("a.b")
    assert ask(web, "a.b").status == 204


@pytest.mark.parametrize("name", ["__ow_method", "__ow_body", "__ow_user"])
def test_reserved_parameters(web: LocalWhisk, name: str) -> None:
    reply = ask(web, f"a.json?{name}=x")
    assert (reply.status, reply.error) == (400, messages.PARAMETERS_NOT_ALLOWED)
    assert reply.header("access-control-allow-origin") == "*"


def test_final_parameters_of_package_and_action(web: LocalWhisk) -> None:
    web.call("PUT", "packages/p", {"parameters": [{"key": "k", "value": 1}]})
    pairs = [{"key": "web-export", "value": True}, {"key": "final", "value": True}]
    web.put_action("p/a", annotations=pairs, parameters=[{"key": "e", "value": ""}])
    path = "/api/v1/web/guest/p/a.json"
    for query in ("k=2", "e=2"):
        assert web.call("GET", f"{path}?{query}").status == 400
    assert web.call("GET", f"{path}?z=3").json["z"] == "3"


def test_preflight(web: LocalWhisk) -> None:
    reply = ask(web, "a.json", "OPTIONS", access_control_request_headers="X-Foo, X-Bar")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.header("access-control-allow-headers") == "X-Foo, X-Bar"
    assert reply.header("access-control-allow-methods") == "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH"
    assert web.runtimes.runs == []


def test_an_action_may_answer_options_itself(web: LocalWhisk) -> None:
    web.put_web("opt", "page", web_custom_options=True)
    reply = ask(web, "opt", "OPTIONS")
    assert (reply.body, reply.header("access-control-allow-origin")) == (b"options", None)


@pytest.mark.parametrize(
    ("required", "headers", "status"),
    [
        (True, {}, 401),
        (True, {"authorization": "Basic Ym9iOnB3"}, 401),
        ("s3cret", {}, 401),
        ("s3cret", {"x-require-whisk-auth": "nope"}, 401),
        ("s3cret", {"x-require-whisk-auth": "s3cret"}, 200),
        (12345, {"x-require-whisk-auth": "12345"}, 200),
        (["s"], {"x-require-whisk-auth": "s"}, 401),
        ("", {}, 401),
        ("", {"x-require-whisk-auth": ""}, 401),
        (None, {}, 401),
        (None, {"x-require-whisk-auth": ""}, 401),
        ([], {"x-require-whisk-auth": "[]"}, 401),
        (0, {}, 401),
        (0, {"x-require-whisk-auth": "0"}, 200),
        (False, {}, 200),
    ],
)
def test_required_authentication(
    web: LocalWhisk, required: Any, headers: dict[str, str], status: int
) -> None:
    web.put_web("auth", require_whisk_auth=required)
    reply = web.call("GET", f"{WEB}/auth.json", identity=None, headers=headers)
    assert reply.status == status
    if status == 401:
        assert reply.error == messages.WEB_AUTH_FAILED


@pytest.mark.parametrize("identity", [GUEST, OTHER])
def test_any_valid_key_authenticates(web: LocalWhisk, identity: Any) -> None:
    web.put_web("auth", require_whisk_auth=True)
    assert web.call("GET", f"{WEB}/auth.json", identity=identity).json["__ow_user"] == identity.namespace


def test_the_owner_pays(new_local: Callable[..., LocalWhisk]) -> None:
    local = new_local(limits=replace(ROOMY, invocations_per_minute=1), clock=lambda: 1_000_000_000_000)
    local.put_web("a")
    assert ask(local, "a.json").status == 200
    reply = ask(local, "a.json")
    assert (reply.status, reply.header("access-control-allow-origin")) == (429, None)


def test_callers_without_a_key_may_be_given_a_share(new_local: Callable[..., LocalWhisk]) -> None:
    local = new_local(limits=replace(ROOMY, invocations_per_minute=4, anonymous_per_minute=2), clock=lambda: 1_000_000_000_000)
    local.put_web("a")
    answers = [ask(local, "a.json", origin="null") for _ in range(9)]
    assert [answer.status for answer in answers] == [200] * 2 + [429] * 7
    assert answers[-1].header("retry-after") == "20"
    assert answers[-1].header("access-control-allow-origin") == "*", "a page reads why and when"
    assert [local.call("GET", f"{WEB}/a.json", identity=GUEST).status for _ in range(3)] == [200, 200, 429]


def test_what_pages_have_browsers_send_keeps_no_program_out(new_local: Callable[..., LocalWhisk]) -> None:
    local = new_local(limits=replace(ROOMY, anonymous_per_minute=2), clock=lambda: 1_000_000_000_000)
    local.put_web("a")
    of_pages = [ask(local, "a.json", sec_fetch_site="cross-site").status for _ in range(4)]
    assert of_pages == [200, 200, 429, 429]
    assert [ask(local, "a.json").status for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("charset", ["idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "rot13", "hex", "none"])
def test_what_is_no_charset_is_read_as_utf_8(web: LocalWhisk, charset: str) -> None:
    """A stranger chooses it: some of Python's own fail, and a megabyte of `punycode` stopped the engine for minutes."""
    form = f"application/x-www-form-urlencoded; charset={charset}"
    reply = ask(web, "a.json", "POST", b"x=\\u0041-%C3%A9", content_type=form)
    assert (reply.status, reply.json["x"]) == (200, "\\u0041-é")


def test_methods(web: LocalWhisk) -> None:
    for method in ("GET", "PUT", "POST", "DELETE", "PATCH"):
        assert ask(web, "page", method).body == method.lower().encode()
    head = ask(web, "page", "HEAD")
    assert (head.status, head.body, head.header("x-my")) == (200, b"", "1")
    for path in (f"{WEB}/page", "/api/v1", "/api/v1/nothing", "/api/v1/namespaces/_/actions/page"):
        trace = web.call("TRACE", path, identity=None)
        assert (trace.status, trace.header("allow")) == (405, "GET, DELETE, POST, PUT, HEAD, OPTIONS, PATCH")


def test_the_actions_own_cors_header_comes_second(web: LocalWhisk) -> None:
    web.runtimes.behaviours["cors"] = lambda _: {
        "headers": {"Access-Control-Allow-Origin": "http://me"},
        "body": "c",
    }
    web.put_web("cors", "cors")
    assert ask(web, "cors").all_headers("access-control-allow-origin") == ["*", "http://me"]


def test_what_takes_too_long_is_202(new_local: Callable[..., LocalWhisk]) -> None:
    import asyncio

    local = new_local(limits=replace(ROOMY, blocking_ms=1))
    gate = asyncio.Event()

    async def slow(_: Any) -> Any:
        await gate.wait()
        return {}

    local.runtimes.behaviours["slow"] = slow
    local.put_web("slow", "slow")
    reply = ask(local, "slow")
    assert (reply.status, reply.error) == (202, messages.WEB_NOT_READY)
    gate.set()


def test_a_body_beyond_a_megabyte(web: LocalWhisk) -> None:
    assert ask(web, "a.json", "POST", b"x" * 1048577, content_type="text/plain").status == 413


@pytest.mark.parametrize(
    ("action", "accept", "offered"),
    [
        ("a.json", "text/html", "application/json"),
        ("page", "application/json", "text/html; charset=UTF-8"),
        ("page.html", "application/json", "text/html; charset=UTF-8"),
        ("page.svg", "application/json", "image/svg+xml"),
        ("page.text", "text/html, application/json;q=0.5", "text/plain"),
        ("plain", "text/html", "text/plain; charset=UTF-8"),
        ("hal", "application/json", "application/hal+json"),
        ("png", "image/*;q=0, */*;q=0.1", "image/png"),
    ],
)
def test_a_type_that_is_not_accepted_is_refused_and_named(
    web: LocalWhisk, action: str, accept: str, offered: str
) -> None:
    """Named is what the extension or the action says; the refusal itself is JSON without any other header."""
    types = {"plain": "text/plain", "hal": "application/hal+json", "png": "image/png"}
    web.runtimes.behaviours["typed"] = lambda args: {
        "headers": {"Content-Type": args["type"], "x-own": "1"},
        "body": "bm8=",
    }
    for name, content_type in types.items():
        web.put_web(name, "typed")
        web.put_action(name, "typed", parameters=[{"key": "type", "value": content_type}])
    refused = ask(web, action, accept=accept)
    assert (refused.status, refused.error) == (406, messages.not_acceptable(offered))
    assert refused.header("access-control-allow-origin") is None
    assert refused.header("x-openwhisk-activation-id") is None
    assert (refused.header("x-own"), refused.header("content-type")) == (None, "application/json")
    assert ask(web, action, accept="*/*").status == 200
    assert ask(web, action, accept=offered.split(";", maxsplit=1)[0]).status == 200


@pytest.mark.parametrize("path", ["empty", "none-such.json", "a.json?__ow_path=/"])
def test_answers_without_a_type_and_errors(web: LocalWhisk, path: str) -> None:
    """An empty answer has nothing to negotiate; an error is JSON and obeys."""
    web.runtimes.behaviours["empty"] = lambda _: {"statusCode": 200}
    web.put_web("empty", "empty")
    expected = 200 if path == "empty" else 406
    assert ask(web, path, accept="text/html").status == expected


def test_a_preflight_offers_no_type(web: LocalWhisk) -> None:
    refused = ask(web, "a.json", "OPTIONS", accept="text/html")
    assert (refused.status, refused.error) == (406, messages.not_acceptable("none/none"))
    assert ask(web, "a.json", "OPTIONS", accept="text/html, */*;q=0.1").status == 200


def test_a_value_may_hold_what_parts_pairs(web: LocalWhisk) -> None:
    """As base64 does; nobody encodes it."""
    assert ask(web, "a.json?token=abc==&x=1;y").json.items() >= {"token": "abc==", "x": "1;y"}.items()
    assert web.call("GET", "actions?a=b=c&limit=1").status == 200


def test_a_form_that_is_not_encoded_is_refused(web: LocalWhisk) -> None:
    reply = ask(web, "a.json", "POST", b"a=x y", content_type="application/x-www-form-urlencoded")
    assert reply.status == 400
    assert reply.error.startswith(messages.malformed("Illegal query: Invalid input ' '"))


def test_a_raw_action_gets_the_query_written_again(local: LocalWhisk) -> None:
    local.put_web("raw", raw_http=True)
    asked = ask(local, "raw.json?a=x%20y&b=%7b&__ow_method=no").json
    assert (asked["__ow_query"], asked["__ow_method"]) == ("a=x+y&b=%7B&__ow_method=no", "get")


def test_custom_options_need_no_key(web: LocalWhisk) -> None:
    """Else no browser could ever ask."""
    web.runtimes.behaviours["allow"] = lambda _: {"headers": {"Access-Control-Allow-Methods": "GET, PATCH"}}
    web.put_web("allow", "allow", web_custom_options=True, require_whisk_auth="secret")
    reply = ask(web, "allow", "OPTIONS")
    assert reply.all_headers("access-control-allow-methods") == ["GET, PATCH"]
    assert reply.header("access-control-allow-origin") is None
    assert ask(web, "allow").status == 401


@pytest.mark.parametrize("target", ["a.json", "locked.json"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_beyond_the_owners_budget(new_local: Callable[..., LocalWhisk], target: str, method: str) -> None:
    """It is told before keys are looked at, of preflights too, and without CORS headers."""
    local = new_local(limits=replace(ROOMY, invocations_per_minute=0), clock=lambda: 1_000_000_000_000)
    local.put_web("a")
    local.put_web("locked", require_whisk_auth="secret")
    assert ask(local, "none.json", method).status == 404
    refused = ask(local, target, method, b"x" * 1048577, content_type="text/plain")
    assert (refused.status, refused.error) == (429, messages.too_many_requests(1, 0))
    assert refused.header("access-control-allow-origin") is None


def test_as_many_in_flight_as_allowed(new_local: Callable[..., LocalWhisk]) -> None:
    local = new_local(limits=replace(ROOMY, concurrent=0))
    local.put_web("a")
    refused = ask(local, "a.json")
    assert (refused.status, refused.error) == (429, messages.too_many_concurrent(0, 0))


def test_an_empty_body_has_the_form_of_its_type(web: LocalWhisk) -> None:
    def body(content_type: str) -> Any:
        return ask(web, "a.json", "POST", b"", content_type=content_type).json.get("__ow_body", "none")

    assert body("text/plain") == ""
    assert body("application/json") == "none"
    assert body("application/x-www-form-urlencoded") == "none"


@pytest.mark.parametrize(("final", "status"), [(True, 400), ("", 400), (False, 200), ("true", 200), (1, 200)])
def test_true_and_an_unset_variable_make_parameters_final(web: LocalWhisk, final: Any, status: int) -> None:
    web.put_web("final", final=final)
    web.put_action("final", parameters=[{"key": "x", "value": 1}, {"key": "nothing", "value": None}])
    assert ask(web, "final.json?x=2").status == status
    assert ask(web, "final.json?nothing=2").status == 200
    assert web.call("POST", "actions/final?blocking=true", {"x": 2}).status == status
