import json
from typing import Any

import pytest
import requests

from hort import namespace
from hort.errors import ConfigError, WhiskUnavailable
from hort.namespace import Namespace

KEY = "user:password-of-the-namespace"


def answered(status: int, body: bytes = b"") -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = body
    return response


def space(reply: Any, asked: list[Any] | None = None) -> Namespace:
    def call(*arguments: Any, **options: Any) -> requests.Response:
        if asked is not None:
            asked.append((arguments, options))
        if isinstance(reply, Exception):
            raise reply
        found: requests.Response = reply
        return found

    return Namespace("https://whisk.example/", "/guest/hort/report", KEY, call=call)


def test_a_fire_goes_to_the_namespace_with_its_key() -> None:
    asked: list[Any] = []
    assert space(answered(202, b'{"activationId":"a1"}'), asked).fire("photo-submitted", {"a": 1}) == "a1"
    ((arguments, options),) = asked
    assert arguments == ("POST", "https://whisk.example/api/v1/namespaces/guest/triggers/photo-submitted")
    assert (options["auth"], json.loads(options["data"])) == (("user", "password-of-the-namespace"), {"a": 1})
    assert (options["allow_redirects"], options["verify"]) == (False, True)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (answered(204), "no active rule"),
        (answered(429, b'{"error":"Too many requests"}'), "429, Too many requests"),
        (answered(502, b"<html>"), "status 502"),
        (requests.ConnectionError("http://user:secret@x"), "does not answer: ConnectionError"),
    ],
)
def test_a_fire_that_nothing_took(reply: Any, says: str) -> None:
    with pytest.raises(WhiskUnavailable, match=says) as told:
        space(reply).fire("t", {})
    assert "secret" not in str(told.value)


def test_an_invocation_s_result() -> None:
    asked: list[Any] = []
    found = space(answered(200, b'{"plate":"A"}'), asked).invoke("hort/plates", {})
    assert (found.ok, found.result) == (True, {"plate": "A"})
    assert asked[0][0][1].endswith("/actions/hort/plates?blocking=true&result=true")
    for status, body in ((502, b'{"error":"x"}'), (502, b"nothing"), (200, b"[1]")):
        assert space(answered(status, body)).invoke("a", {}).ok is (status == 200)


def test_an_activations_record() -> None:
    asked: list[Any] = []
    assert space(answered(200, b'{"name":"a"}'), asked).activation("a1") == {"name": "a"}
    assert asked[0][0] == ("GET", "https://whisk.example/api/v1/namespaces/guest/activations/a1")
    for reply in (answered(404, b'{"error":"x"}'), answered(200, b"[]"), answered(200, b"x")):
        assert space(reply).activation("a1") == {}


def test_names() -> None:
    assert space(None).sibling("plates") == "hort/plates"
    assert space(None).web_path() == "/api/v1/web/guest/hort/report"
    packageless = Namespace("whisk.example", "/guest/report", KEY)
    assert (packageless.sibling("plates"), packageless.web_path()) == ("plates", "/api/v1/web/guest/default/report")
    assert packageless.host == "https://whisk.example"
    assert KEY not in repr(packageless)


def test_it_needs_the_key_of_its_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("API_HOST", "http://127.0.0.1:1"), ("API_KEY", ""), ("ACTION_NAME", "/guest/hort/report")):
        monkeypatch.setenv(f"__OW_{name}", value)
    with pytest.raises(ConfigError, match="provide-api-key"):
        namespace.of_this_action({})
    monkeypatch.setenv("__OW_API_KEY", KEY)
    assert namespace.of_this_action({"api_insecure": "true"}).verify is False
