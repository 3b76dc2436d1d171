"""What the demo waits for: subscriptions before its data, polls under way after it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from demonstrate import feeds, suite
from demonstrate.feeds import await_subscriptions
from demonstrate.options import parse
from demonstrate.processes import StartFailed
from demonstrate.suite import Suite
from demonstrate.view import PlainView
from demonstrate.whisk import Whisk

Answer = Callable[[str, str], tuple[int, Any]]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], list[str]]:
    """Answers requests by method and path; the paths that were asked for."""
    monkeypatch.setattr(feeds, "LOOK_EVERY_S", 0)
    monkeypatch.setattr(suite, "POLLED_EVERY_S", 0)

    def use(answer: Answer) -> list[str]:
        asked: list[str] = []

        def send(_session: requests.Session, request: requests.PreparedRequest, **_: Any) -> requests.Response:
            asked.append(request.path_url)
            found = requests.Response()
            found.status_code, value = answer(str(request.method), request.path_url)
            found._content = json.dumps(value).encode()
            return found

        monkeypatch.setattr(requests.Session, "send", send)
        return asked

    return use


def feed(*, subscribed: bool) -> dict[str, Any]:
    return {"triggerName": "/guest/t", "connected": True, "subscribed": subscribed, "config": {"topics": ["x" * 900]}, "connection": "refused: u"}


def test_it_goes_on_when_every_feed_is_subscribed(answering: Callable[[Answer], list[str]]) -> None:
    looks = iter([[], [feed(subscribed=True), feed(subscribed=False)], [feed(subscribed=True), feed(subscribed=True)]])
    asked = answering(lambda _method, _path: (200, {"registrations": next(looks)}))
    await_subscriptions("http://provider", "secret", timeout_s=60)
    assert asked == ["/registrations"] * 3


def test_a_provider_that_is_away_is_asked_again(answering: Callable[[Answer], list[str]]) -> None:
    asked: list[str] = []

    def answer(_method: str, path: str) -> tuple[int, Any]:
        asked.append(path)
        if len(asked) == 1:
            raise requests.ConnectionError
        return 200, {"registrations": [feed(subscribed=True)]}

    answering(answer)
    await_subscriptions("http://provider", "secret", timeout_s=60)
    assert len(asked) == 2


def test_what_is_wrong_is_told(answering: Callable[[Answer], list[str]]) -> None:
    answering(lambda _method, _path: (200, {"registrations": [feed(subscribed=False)]}))
    with pytest.raises(StartFailed, match=r"not subscribed after 0\.05 s: status 200 .*refused: u"):
        await_subscriptions("http://provider", "secret", timeout_s=0.05)


@pytest.fixture
def stopping(tmp_path: Path) -> Suite:
    """With an engine whose requests are answered by `answering`, and no part started."""
    found = Suite(parse(["--state", str(tmp_path)]), PlainView())
    found.whisk = Whisk("http://engine", "a:b")
    return found


def test_the_source_is_stopped_when_its_polls_have_ended(answering: Callable[[Answer], list[str]], stopping: Suite) -> None:
    started = [json.dumps({"activationId": "one", "success": True}), json.dumps({"success": False, "error": "rule"})]
    looks = iter([(200, []), (500, {}), (200, [{"activationId": "two"}]), (200, [{"activationId": "two"}, {"activationId": "one"}])])

    def answer(_method: str, path: str) -> tuple[int, Any]:
        if "/rules/" in path:
            return 200, {}
        if "name=hort/divvy" in path:
            return next(looks)
        return 200, [{"logs": started}, {"logs": []}]

    asked = answering(answer)
    stopping.stop_source()
    assert asked[0].endswith("/rules/poll-to-divvy")
    assert sum("name=hort/divvy" in path for path in asked) == 4


def test_a_poll_that_never_ends_is_told(
    answering: Callable[[Answer], list[str]], stopping: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "POLLED_TIMEOUT_S", 0.05)
    answering(lambda _method, path: (200, {}) if "/rules/" in path else (503, {}))
    stopping.stop_source()
    assert "a poll still runs after 0.05 s" in "".join(capsys.readouterr())


def test_an_action_is_given_no_copy_of_its_package_s_parameters(answering: Callable[[Answer], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenWhisk shows a package's parameters among its actions'; copied there, a password stays when the package's is changed."""
    own, shared = [{"key": "gbfs_url", "value": ""}, {"key": "qos", "value": 1}], [{"key": "elasticsearch_password", "value": "secret"}]
    put: list[Any] = []
    answers = {"/api/v1/namespaces/_/packages/hort": {"parameters": shared}}
    answering(lambda _method, path: (200, answers.get(path, {"parameters": [*shared, *own]})))
    request = requests.Session.request

    def noted(session: requests.Session, method: str, url: str, json: Any = None, **options: Any) -> requests.Response:
        put.extend([json] if method == "PUT" else [])
        return request(session, method, url, json=json, **options)

    monkeypatch.setattr(requests.Session, "request", noted)
    Whisk("http://127.0.0.1:9", "a:b").bind("hort/divvy", {"gbfs_url": "http://bikes"})
    assert put == [{"parameters": [{"key": "qos", "value": 1}, {"key": "gbfs_url", "value": "http://bikes"}]}]
