"""Hostile requests to the provider's API and hostile arguments to the feed actions: each gets an answer, none a 500."""

import asyncio
import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from feeds.provider import api
from feeds.provider.meters import Meters
from feeds.provider.registrations import RedisRegistrations, Registration
from feeds.provider.service import Lifecycle
from feeds.provider.testing import MemoryRegistrations, MemoryWhisk
from feeds.provider.vault import Vault
from feeds.provider.whisk import Target
from hort import alarm_feed, feed, feed_options
from hort.testing import FakeClock
from localwhisk.alarms.feed import Feed
from localwhisk.alarms.store import MemoryStore
from tests.support import fuzz

SECRET = "secret-of-a-fuzz-test"
KEY = "user:key-of-a-fuzz-test"
BASIC = "Basic " + base64.b64encode(KEY.encode()).decode()


class Stored(MemoryRegistrations):
    """Registrations that go through their stored form, as those in Redis do."""

    def __init__(self) -> None:
        super().__init__()
        self._form = RedisRegistrations(None, Vault("k" * 16))  # type: ignore[arg-type] # only its form is used

    def change(self, registration: str, edit: Any) -> Registration | None:
        def through(old: Registration | None) -> Registration | None:
            new: Registration | None = edit(old)
            return None if new is None else self._form._decode(self._form._encode(new).encode())

        return super().change(registration, through)


class Addressed(MemoryWhisk):
    """An OpenWhisk whose addresses are made as the real one's are."""

    def check(self, target: Target, *, may_be_gone: bool = False) -> None:
        request = requests.Request("GET", target.url("triggers", target.trigger.split("/")[2]), auth=target.auth)
        try:
            request.prepare()
        except requests.RequestException:
            return  # the real one refuses it


class MemoryAlarms:
    """The alarm feed over a store in memory, its JSON checked."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def ask(self, kind: str, params: dict[str, Any], *, namespace: str, api_host: str) -> dict[str, Any]:
        async def nothing(_key: str) -> None:
            return None

        async def found(_registration: dict[str, Any]) -> int:
            return 200

        answer = asyncio.run(
            Feed(self.store, changed=nothing, authorize=found, now_ms=lambda: 1_790_000_000_000).result(kind, params, namespace=namespace)
        )
        for _, registration in asyncio.run(self.store.list()):
            json.dumps(registration).encode()
        return answer


class App:
    """The provider's ASGI application without sockets."""

    def __init__(self) -> None:
        lifecycle = Lifecycle(Stored(), Addressed(), api_host="", clock=FakeClock(), changed=lambda: None)
        self.app = api.application(lifecycle, alarms=MemoryAlarms(), secret=SECRET, meters=Meters(), health=lambda: {"ok": True})

    def call(self, method: str, path: str, *, query: str = "", body: bytes = b"", headers: dict[str, str]) -> tuple[int, bytes]:
        raw = [(name.encode(), value.encode("utf-8")) for name, value in headers.items()]
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "", "scheme": "http", "http_version": "1.1",
            "query_string": query.encode(), "headers": raw, "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        return asyncio.run(self._exchange(scope, body))

    async def _exchange(self, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:])


EVERY_OPTION = {option.name: option.default for option in feed_options.OPTIONS} | {"url": "mqtt://b", "topics": ["a/#", "$share/g/b"]}
PARAMS = st.sampled_from([{"url": "mqtt://b", "topics": "a", "password": "p"}, EVERY_OPTION, {"qos": 2}])
TRIGGERS = st.sampled_from(["/guest/t", "/guest/t", "/guest/t", "/_/t", "t", "/a/b/c", "/\ud800/t", "/guest/\ud800", "/guest/\0", "/guest/" + "t" * 5_000, ""])
HOSTS = st.sampled_from(["", "http://127.0.0.1:1", "http://[", "a b", "file:///etc", "\ud800", "http://u:p@h", "\r\nX: y"])
FEED = st.builds(lambda trigger, host, params: {"trigger": trigger, "api_host": host, "params": params}, TRIGGERS, HOSTS, PARAMS)
ALARM_PARAMS = st.sampled_from(
    [{"cron": "*/5 * * * * *", "trigger_payload": {"a": 1}}, {"date": "2030-01-01T00:00:00Z"}, {"minutes": 5, "startDate": 1, "stopDate": "x"}]
)
ALARM = st.builds(
    lambda kind, event, trigger, params: {"kind": kind, "namespace": "guest", "api_host": "http://h", "params": {"lifecycleEvent": event, "triggerName": trigger, **params}},
    st.sampled_from(["alarm", "once", "interval", "x"]), st.sampled_from(["CREATE", "CREATE", "READ", "UPDATE", "DELETE", "x"]), TRIGGERS, ALARM_PARAMS,
)  # fmt: skip


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, str, str, bytes, dict[str, str]]:
    """One request to the provider."""
    alarm = draw(st.booleans())
    value = draw(ALARM if alarm else FEED)
    body = draw(st.one_of(fuzz.near(value).map(fuzz.encoded), fuzz.near(value).map(fuzz.encoded), fuzz.raw_bodies))
    text = {name: str(part).encode("utf-8", "replace").decode() for name, part in value.items()}
    query = draw(st.sampled_from(["", "&".join(f"{name}={quote(part)}" for name, part in text.items()), "trigger=%FF&trigger=%00", "active=1"]))
    method = draw(st.sampled_from(["POST", "POST", "GET", "PUT", "DELETE", "PATCH", "HEAD"]))
    headers = {"x-hort-secret": SECRET, "authorization": BASIC, "content-type": "application/json"}
    if draw(st.integers(0, 4)) == 0:
        headers |= {draw(st.sampled_from(list(headers))): draw(st.sampled_from(["", "é", "Basic é", "Basic ====", "Basic /w==", "x" * 10_000, "\0"]))}
    return method, "/alarms" if alarm else "/registrations", query, body, headers


@fuzz.profile(80)
@given(st.lists(calls(), min_size=1, max_size=5))
def test_no_request_is_answered_with_500(requests_made: list[tuple[str, str, str, bytes, dict[str, str]]]) -> None:
    app = App()
    for method, path, query, body, headers in requests_made:
        status, answer = app.call(method, path, query=query, body=body, headers=headers)
        assert status < 500, answer
        assert KEY.partition(":")[2].encode() not in answer
        assert SECRET.encode() not in answer
    assert app.call("GET", "/registrations", headers={"x-hort-secret": SECRET})[0] == 200


@pytest.mark.parametrize("given_secret", [None, "", "x", SECRET[:-1], SECRET + "x", SECRET.upper(), "\u00e9", "\udcff", "s" * 1_000_000, "\0", f"{SECRET}\0"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/registrations"), ("POST", "/registrations"), ("DELETE", "/registrations"), ("POST", "/alarms")])
def test_without_the_secret_nothing_is_done(method: str, path: str, given_secret: str | None) -> None:
    headers = {"authorization": BASIC}
    if given_secret is not None:
        headers["x-hort-secret"] = given_secret.encode("utf-8", "surrogateescape").decode("latin-1")
    status, answer = App().call(method, path, body=b'{"trigger":"/guest/t"}', headers=headers)
    assert (status, json.loads(answer)) == (401, {"error": "header X-HoRT-Secret is missing or wrong"})


ARGS = st.fixed_dictionaries(
    {"provider_url": st.just("http://127.0.0.1:1"), "provider_secret": st.just(SECRET)},
    optional={
        "lifecycleEvent": st.sampled_from([*feed.EVENTS, "create"]) | fuzz.values,
        "triggerName": TRIGGERS | fuzz.values,
        "authKey": st.just(KEY) | fuzz.values,
        "__ow_headers": fuzz.values,
        "alarm_kind": st.sampled_from(alarm_feed.KINDS) | fuzz.values,
    },
)


class Refusing:
    """Stands for `requests.request`: makes the request as that does and answers nothing useful."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def __call__(self, method: str, url: str, *, headers: Any, auth: Any, params: Any = None, json: Any = None, **_: Any) -> requests.Response:
        requests.Request(method, url, headers=headers, auth=auth, params=params, json=json).prepare()
        answer = requests.Response()
        answer.status_code, answer._content = 500, self._answer
        return answer


@fuzz.profile(120)
@given(ARGS, PARAMS.flatmap(fuzz.near) | fuzz.values, fuzz.raw_bodies | fuzz.values.map(fuzz.encoded))
def test_no_arguments_break_the_feed_actions(args: dict[str, Any], params: Any, answer: bytes) -> None:
    merged = {**(params if isinstance(params, dict) else {}), **args}
    for handle in (feed.handle, alarm_feed.handle):
        result = handle(merged, call=Refusing(answer))
        assert isinstance(result["error"], str)
        assert SECRET not in result["error"]
        json.dumps(result)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("__OW_API_KEY", "__OW_NAMESPACE", "__OW_ACTION_NAME", "__OW_API_HOST"):
        monkeypatch.delenv(name, raising=False)
