import pytest

from localwhisk import messages
from tests.support.localwhisk_app import OTHER, LocalWhisk


def test_the_root_document_has_the_content_type_wskdeploy_asks_for(local: LocalWhisk) -> None:
    for path in ("/", "/api/info"):
        reply = local.call("GET", path, identity=None)
        assert reply.header("content-type") == "application/json"
        kinds = [runtime["kind"] for runtime in reply.json["runtimes"]["python"]]
        assert "python:3.11" in kinds


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/nothing", 405, messages.method_not_allowed("OPTIONS")),
        ("POST", "/", 405, messages.method_not_allowed("GET, OPTIONS")),
        ("GET", "/api/v1/nothing", 401, messages.AUTH_MISSING),
        ("GET", "/api/v1/namespaces", 401, messages.AUTH_MISSING),
    ],
)
def test_without_credentials(local: LocalWhisk, method: str, path: str, status: int, text: str) -> None:
    reply = local.call(method, path, identity=None)
    assert (reply.status, reply.error) == (status, text)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/nothing"),
        ("GET", "/api/v1/namespaces/_"),
        ("GET", "/api/v1/namespaces/_/bogus"),
        ("PATCH", "actions/x"),
        ("PUT", "actions"),
        ("GET", "actions/a/b/c"),
        ("PUT", "actions/a/"),
        ("DELETE", "activations/" + "a" * 32),
        ("HEAD", "actions"),
        ("PUT", "/api/v1/namespaces/_/limits"),
        ("POST", "/api/v1/namespaces"),
    ],
)
def test_routes_there_are_not(local: LocalWhisk, method: str, path: str) -> None:
    assert local.call(method, path).status == 404


def test_request_ids_are_echoed_and_become_the_code_of_errors(local: LocalWhisk) -> None:
    reply = local.call("GET", "actions/nope", headers={"x-request-id": "mine"})
    assert (reply.header("x-request-id"), reply.json["code"]) == ("mine", "mine")
    other = local.call("GET", "actions/nope", headers={"x-request-id": "sid_mine"})
    assert other.header("x-request-id") != "sid_mine"
    assert len(other.json["code"]) == 32


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("text/html;q=0.9, */*;q=0.1", 200),
        ("application/*", 200),
        ("", 200),
    ],
)
def test_accept(local: LocalWhisk, accept: str, status: int) -> None:
    assert local.call("GET", "actions", headers={"accept": accept}).status == status


@pytest.mark.parametrize(
    ("content_type", "named"), [("text/plain", "text/plain"), ("application/x-www-form-urlencoded",) * 2]
)
def test_only_json_bodies_are_read(local: LocalWhisk, content_type: str, named: str) -> None:
    reply = local.call("PUT", "packages/x", b"a=b", headers={"content-type": content_type})
    assert (reply.status, reply.error) == (415, messages.unsupported_type(named))


def test_a_charset_does_no_harm(local: LocalWhisk) -> None:
    assert (
        local.call(
            "PUT", "packages/x", b"{}", headers={"content-type": "application/json; charset=utf-8"}
        ).status
        == 200
    )


def test_other_namespaces_are_closed(local: LocalWhisk) -> None:
    reply = local.call("GET", "/api/v1/namespaces/guest/triggers", identity=OTHER)
    assert (reply.status, reply.error) == (403, messages.not_authorized("guest"))
    assert local.call("GET", "/api/v1/namespaces/guest/packages", identity=OTHER).json == []
    assert local.call("GET", "/api/v1/namespaces/a%20b!/actions").error == messages.NAMESPACE_ILLEGAL


def test_a_uri_beyond_8_kb(local: LocalWhisk) -> None:
    reply = local.call("GET", "actions?x=" + "q" * 8200)
    assert (reply.status, reply.body) == (414, messages.uri_too_long(8192).encode())


def test_preflight_needs_no_credentials(local: LocalWhisk) -> None:
    reply = local.call("OPTIONS", "actions/x", identity=None)
    assert (reply.status, reply.body) == (200, b"OK")
    assert reply.header("access-control-allow-methods") == "GET, DELETE, POST, PUT, HEAD"


def test_limits_of_the_namespace(local: LocalWhisk) -> None:
    limits = local.call("GET", "limits").json
    assert limits["invocationsPerMinute"] == 10_000
    assert (
        local.call("GET", "limits/x").error == "Inner entity level routes for limits are not yet implemented."
    )


def test_a_mistake_of_the_engine_is_a_500_without_its_details(
    local: LocalWhisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("detail")

    monkeypatch.setattr(local.engine.access, "resolved", broken)
    reply = local.call("GET", "actions/x")
    assert (reply.status, reply.body) == (500, b"There was an internal server error.")
