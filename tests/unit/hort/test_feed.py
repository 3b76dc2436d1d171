"""The feed action's core, with a provider that only notes what it is asked."""

import json
from typing import Any

import pytest
import requests

from hort import feed

BOUND = {
    "provider_url": "http://provider:8080/",
    "provider_secret": "secret-of-the-tests",
    "authKey": "user:key",
    "triggerName": "/_/t",
}
GOOD = {"url": "mqtt://broker", "topics": "a"}


class Provider:
    def __init__(self, status: int = 200, body: Any = None) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.status = status
        self.body = {"config": {}, "status": {}} if body is None else body

    def __call__(self, method: str, url: str, **options: Any) -> requests.Response:
        self.calls.append((method, url, options))
        answer = requests.Response()
        answer.status_code = self.status
        answer._content = json.dumps(self.body).encode()
        return answer


@pytest.fixture(autouse=True)
def openwhisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("__OW_NAMESPACE", "guest")
    monkeypatch.setenv("__OW_API_HOST", "http://api")


@pytest.mark.parametrize(
    ("event", "method", "where", "body"),
    [
        ("CREATE", "POST", "json", {"params": GOOD, "keep": []}),
        ("read", "GET", "params", {}),
        ("UPDATE", "PUT", "json", {"params": GOOD, "keep": []}),
        ("DELETE", "DELETE", "params", {}),
        ("PAUSE", "PUT", "json", {"active": False}),
        ("UNPAUSE", "PUT", "json", {"active": True}),
    ],
)
def test_each_event_asks_the_provider(event: str, method: str, where: str, body: dict[str, Any]) -> None:
    provider = Provider()
    answer = feed.handle({**BOUND, **GOOD, "lifecycleEvent": event, "redis_url": "not-for-the-provider"}, call=provider)
    assert answer == provider.body
    ((called, url, options),) = provider.calls
    assert (called, url) == (method, "http://provider:8080/registrations")
    assert options[where] == {"trigger": "/guest/t", "api_host": "http://api", **body}
    assert options["headers"] == {"X-HoRT-Secret": "secret-of-the-tests"}
    assert options["auth"] == ("user", "key")
    assert options["allow_redirects"] is False


@pytest.mark.parametrize(
    ("name", "full"),
    [("/_/t", "/guest/t"), ("/other/t", "/other/t"), ("t", "/guest/t"), ("_/t", "/guest/t")],
)
def test_trigger_names(name: str, full: str) -> None:
    assert feed.trigger_name({"triggerName": name}) == full


@pytest.mark.parametrize("name", ["", "/", "/a/", "/a/b/c", 7, None])
def test_bad_trigger_names(name: Any) -> None:
    answer = feed.handle({**BOUND, "lifecycleEvent": "READ", "triggerName": name}, call=Provider())
    assert "triggerName" in answer["error"]


@pytest.mark.parametrize("event", [None, "", "START"])
def test_unknown_events(event: Any) -> None:
    assert "lifecycleEvent" in feed.handle({**BOUND, "lifecycleEvent": event}, call=Provider())["error"]


@pytest.mark.parametrize("missing", ["authKey", "provider_url", "provider_secret"])
def test_missing_parameters(missing: str) -> None:
    params = {name: value for name, value in BOUND.items() if name != missing}
    answer = feed.handle({**params, "lifecycleEvent": "READ"}, call=Provider())
    assert missing in answer["error"]


def test_the_provider_s_text_is_passed_on() -> None:
    answer = feed.handle({**BOUND, "lifecycleEvent": "READ"}, call=Provider(400, {"error": "why"}))
    assert answer == {"error": "why"}


@pytest.mark.parametrize("body", ["text", [1], None])
def test_an_answer_that_is_none(body: Any) -> None:
    answer = feed.handle({**BOUND, "lifecycleEvent": "READ"}, call=Provider(502, body or ["x"]))
    assert "answered 502" in answer["error"]


def test_bad_parameters_do_not_reach_the_provider() -> None:
    provider = Provider()
    answer = feed.handle({**BOUND, **GOOD, "qos": 5, "lifecycleEvent": "CREATE"}, call=provider)
    assert "parameter 'qos'" in answer["error"]
    assert provider.calls == []


def test_headers_of_the_firing_request_go_nowhere() -> None:
    provider = Provider()
    feed.handle({**BOUND, **GOOD, "lifecycleEvent": "CREATE", "__ow_headers": {"authorization": "x"}}, call=provider)
    assert "x" not in provider.calls[0][2]["json"]["params"]
