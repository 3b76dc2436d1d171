"""Pages of other sites, which a browser lets send requests to this machine."""

from collections.abc import Callable
from typing import Any

import pytest

from localwhisk import browsers
from localwhisk.app import App
from localwhisk.browsers import Gate
from localwhisk.errors import ApiError
from localwhisk.http import Request
from localwhisk.limits import Limits
from tests.support.localwhisk_app import LocalWhisk

SANDBOX = browsers.APART[0][1]
HERE = "127.0.0.1:3233"
WEB = "/api/v1/web/guest/default/page.json"
CODE = {"exec": {"kind": "python:3.11", "code": "give-back"}}


@pytest.fixture
def gated(local: LocalWhisk) -> LocalWhisk:
    local.put_web("page", web_export=True)
    local.app = App(local.engine, Gate())
    return local


def call(local: LocalWhisk, method: str, path: str, body: Any = None, **headers: str) -> int:
    named = {"host": HERE, **{name.replace("_", "-"): value for name, value in headers.items()}}
    reply = local.call(method, path, body, headers=named)
    if reply.status == 403:
        assert reply.header("access-control-allow-origin") is None
    return reply.status


async def no_body() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def request(headers: list[tuple[str, str]]) -> Request:
    return Request(method="GET", target="/", path="/", query="", headers=headers, receive=no_body, max_body=0)


FOREIGN = ["http://evil.example", "http://127.0.0.1:8000", "http://localhost:3233", "https://evil.example", "null", "file://", "HTTP://EVIL.example"]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_origin_cannot_drive_the_engine(gated: LocalWhisk, origin: str) -> None:
    assert call(gated, "PUT", "actions/theirs", CODE, origin=origin) == 403
    assert call(gated, "GET", "actions", origin=origin) == 403
    assert call(gated, "OPTIONS", "actions/theirs", origin=origin, access_control_request_method="PUT") == 403
    assert call(gated, "POST", "actions/page", origin=origin) == 403, "a form without a preflight"
    assert call(gated, "GET", "/", origin=origin) == 403
    assert call(gated, "PUT", "actions/theirs", CODE) == 200, "a client that is no browser"


@pytest.mark.parametrize("origin", ["http://127.0.0.1:3233", "https://127.0.0.1:3233"])
def test_the_engines_own_page_may_do_everything(gated: LocalWhisk, origin: str) -> None:
    assert call(gated, "PUT", "actions/mine", CODE, origin=origin) == 200
    assert call(gated, "GET", WEB, origin=origin) == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3233", "127.0.0.1.evil.example:3233", "localhost.evil.example", "0.0.0.0:3233", "192.0.2.1"])
@pytest.mark.parametrize("path", ["actions", "/", "/ping", WEB])
def test_a_name_that_somebody_points_here_is_not_answered(gated: LocalWhisk, host: str, path: str) -> None:
    assert call(gated, "GET", path, host=host) == 403
    assert call(gated, "GET", path, host=host, origin=f"http://{host}") == 403


@pytest.mark.parametrize(
    "headers",
    [
        [("host", HERE), ("host", "evil.example")],
        [("host", HERE), ("origin", f"http://{HERE}"), ("origin", "http://evil.example")],
        [("host", HERE), ("origin", ""), ("origin", "http://evil.example")],
        [("origin", "null")],
    ],
)
def test_a_second_header_is_no_way_around(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(ApiError):
        Gate().check(request(headers), web=False)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:3233", "127.0.0.1", "127.3.4.5:80", "[::1]:3233", "[::1]", ""])
def test_loopback_names_are_answered(gated: LocalWhisk, host: str) -> None:
    assert call(gated, "GET", "actions", host=host) == 200


def test_a_page_of_a_web_action_reaches_web_actions_without_a_key_and_nothing_else(gated: LocalWhisk) -> None:
    page = {"host": HERE, "origin": "null"}
    for method in ("GET", "POST", "OPTIONS"):
        assert gated.call(method, WEB, identity=None, headers=page).status == 200
    assert gated.call("GET", "actions", identity=None, headers=page).status == 403
    assert gated.call("GET", "/", identity=None, headers=page).status == 403
    assert call(gated, "GET", WEB, origin="null") == 403, "with a key"
    assert call(gated, "GET", WEB, origin="http://evil.example") == 403


def test_origins_and_names_are_let_in_by_name(gated: LocalWhisk) -> None:
    gated.app = App(gated.engine, Gate(origins=frozenset({"http://localhost:5173"}), hosts=frozenset({"box.lan"})))
    assert call(gated, "GET", "actions", origin="http://localhost:5173") == 200
    assert call(gated, "GET", "actions", origin="http://localhost:5174") == 403
    assert call(gated, "GET", "actions", host="box.lan:3233") == 200
    assert call(gated, "GET", "actions", host="box.lan:3233", origin="http://box.lan:3233") == 200
    assert call(gated, "GET", "actions", host="other.lan") == 403
    gated.app = App(gated.engine, Gate(origins=frozenset("*"), hosts=frozenset("*")))
    assert call(gated, "GET", "actions", origin="http://evil.example", host="other.lan") == 200


@pytest.mark.parametrize(
    "path",
    [
        *(f"/api/v1/web/guest/default/page{end}" for end in ("", ".html", ".svg", ".json", ".http", ".text", "/more")),
        *("/api/v1/%77eb/guest/default/page", "/api/v1/web/guest/default/nope", "/api/v1/web/guest", "/api/v1/web"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "TRACE"])
def test_whatever_comes_from_a_web_action_is_shown_as_an_origin_of_its_own(local: LocalWhisk, method: str, path: str) -> None:
    own = {"content-security-policy": "default-src 'self'", "content-type": "text/html"}
    local.runtimes.behaviours["page"] = lambda _: {"headers": own, "body": "<p>", "html": "<p>", "svg": "<svg/>"}
    local.put_web("page", "page")
    policies = local.call(method, path, headers={"accept": "text/html"}).all_headers("content-security-policy")
    assert policies[-1] == SANDBOX
    assert "allow-same-origin" not in policies[-1]


def test_a_page_reads_why_it_was_refused(new_local: Callable[..., LocalWhisk]) -> None:
    local = new_local(limits=Limits(invocations_per_minute=0))
    local.put_web("page")
    refused = local.call("GET", WEB, identity=None, headers={"origin": "null"})
    assert (refused.status, refused.header("access-control-allow-origin")) == (429, "*")
    assert refused.header("access-control-expose-headers") == "*"


def test_the_policy_of_an_action_stays_beside_the_engines(local: LocalWhisk) -> None:
    own = {"content-security-policy": "sandbox allow-same-origin allow-scripts"}
    local.runtimes.behaviours["page"] = lambda _: {"headers": own, "body": "<p>"}
    local.put_web("page", "page")
    policies = local.call("GET", "/api/v1/web/guest/default/page").all_headers("content-security-policy")
    assert policies == [own["content-security-policy"], SANDBOX]
    assert local.call("GET", "actions").all_headers("content-security-policy") == []


def test_no_browser_is_asked_for_a_key_it_would_send_for_other_pages(local: LocalWhisk) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    replies = [local.call("GET", "/api/v1/namespaces", identity=None, headers=headers) for headers in ({}, browser)]
    assert [reply.header("www-authenticate") is not None for reply in replies] == [True, False]
    assert [reply.status for reply in replies] == [401, 401]
    asking = {"statusCode": 401, "headers": {"www-authenticate": "Basic"}, "body": "whose?"}
    local.runtimes.behaviours["page"] = lambda _: asking
    local.put_web("page", "page")
    assert local.call("GET", "/api/v1/web/guest/default/page", headers=browser).header("www-authenticate") == "Basic", "its own"
