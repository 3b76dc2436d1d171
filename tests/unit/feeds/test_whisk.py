import json

import pytest
import requests

from feeds.provider.whisk import HttpWhisk, Target, outcome
from hort.errors import FeedRefused
from hort.fires import Started, rules_of


def answer(status: int, body: object = None) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = b"" if body is None else json.dumps(body).encode()
    return response


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (202, "accepted"),
        (204, "held"),
        (302, "busy"),
        (400, "refused"),
        (401, "refused"),
        (403, "refused"),
        (404, "refused"),
        (408, "busy"),
        (409, "busy"),
        (413, "refused"),
        (429, "busy"),
        (500, "busy"),
        (503, "busy"),
    ],
)
def test_what_an_answer_means(status: int, kind: str) -> None:
    assert outcome(answer(status, {"error": "why"} if status >= 400 else None)).kind == kind


def test_facts_of_an_answer() -> None:
    assert outcome(answer(202, {"activationId": "abc"})).activation == "abc"
    assert outcome(answer(404, {"error": "x" * 1000})).message == "x" * 300
    assert outcome(answer(500, ["no object"])).message == ""


def test_a_target_shows_no_key() -> None:
    assert "secret" not in repr(Target("http://host", "/guest/t", "user:secret"))


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("http://host:3233", "http://host:3233/api/v1/namespaces/my%20ns/triggers/a%20b"),
        ("host", "https://host/api/v1/namespaces/my%20ns/triggers/a%20b"),
    ],
)
def test_addresses(host: str, url: str) -> None:
    assert Target(host, "/my ns/a b", "u:k").url("triggers", "a b") == url


THROTTLED = "Too many requests in the last minute (count: 61, allowed: 60)."
STARTED = '{"statusCode":0,"success":true,"activationId":"abc","rule":"guest/r","action":"guest/a"}'
INACTIVE = json.dumps({"success": False, "rule": "guest/off", "error": "Rule 'guest/off' is inactive, action 'guest/a' was not activated."})
FAILED = json.dumps({"success": False, "rule": "guest/r", "error": "Too many requests in the last minute (count: 61, allowed: 60)."})


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ([STARTED], Started(known=True, activations=("abc",))),
        ([STARTED, INACTIVE], Started(known=True, activations=("abc",))),
        ([f"2026-01-01T00:00:00.000000000Z stdout: {STARTED}"], Started(known=True, activations=("abc",))),
        ([STARTED, FAILED], Started(known=True, errors=(f"guest/r: {THROTTLED}",), activations=("abc",))),
        ([FAILED], Started(known=True, errors=(f"guest/r: {THROTTLED}",))),
        ([], Started(known=False)),
        (None, Started(known=False)),
        ("text", Started(known=False)),
        ([7, "no json"], Started(known=False)),
    ],
)
def test_what_a_trigger_s_activation_says(logs: object, expected: Started) -> None:
    assert rules_of(logs) == expected


def test_no_request_takes_the_key_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def request(_session: object, method: str, _url: str, **options: object) -> requests.Response:
        asked.append((method, options["allow_redirects"] is False))
        return answer(302)

    monkeypatch.setattr(requests.Session, "request", request)
    whisk, target = HttpWhisk(), Target("http://host", "/guest/t", "u:k")
    whisk.fire(target, {})
    assert whisk.started(target, "a" * 32) == Started(known=False)
    with pytest.raises(FeedRefused, match="answered 302"):
        whisk.check(target)
    whisk.trigger_status(target)
    whisk.delete_trigger(target, rules=True)
    assert asked == [("POST", True), ("GET", True), ("GET", True), ("GET", True), ("GET", True), ("DELETE", True)]
