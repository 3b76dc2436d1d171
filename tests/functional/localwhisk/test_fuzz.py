"""Hostile requests to every route of the engine's REST API: each gets an answer below 500, and the engine goes on."""

import base64
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localwhisk.app import COLLECTIONS
from tests.support import fuzz
from tests.support.localwhisk_app import GUEST, LocalWhisk

PAIRS = [{"key": "k", "value": {"v": 1}}, {"key": "web-export", "value": True}]
LIMITS = {"timeout": 60_000, "memory": 256, "logs": 10, "concurrency": 1}
ACTION = {
    "exec": {"kind": "python:3.11", "code": "give-back", "main": "main", "binary": False},
    "version": "0.0.1", "publish": False, "annotations": PAIRS, "parameters": PAIRS, "limits": LIMITS, "delAnnotations": ["k"],
}  # fmt: skip
WEB = {"exec": ACTION["exec"], "annotations": [*PAIRS, {"key": "raw-http", "value": True}, {"key": "require-whisk-auth", "value": "pass"}]}
SEQUENCE = {"exec": {"kind": "sequence", "components": ["/_/a", "/_/p/a"]}}
IMAGE = {"exec": {"kind": "blackbox", "image": "a/b:1", "code": "x"}}
PACKAGE = {"binding": {"namespace": "_", "name": "p"}, "publish": True, "parameters": PAIRS, "annotations": PAIRS, "version": "1.0"}
RULE = {"trigger": "/_/t", "action": "/_/a", "status": "active"}
BODIES = fuzz.bodies(ACTION, WEB, SEQUENCE, IMAGE, PACKAGE, RULE, {"status": "inactive"}, {"k": 1, "payload": "x"})

NAMES = st.sampled_from(["a", "p", "t", "r", "p/a", "p/", "_", "a.json", "a b", "%00", "%ff", "%2F", "..", "a" * 300, "%ED%A0%80", "é"])
NAMESPACES = st.sampled_from(["_", "_", "_", "guest", "whisk.system", "%00", "%ff"])
METHODS = st.sampled_from(["GET", "PUT", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "X"])
QUERY = st.dictionaries(
    st.sampled_from(["overwrite", "blocking", "result", "limit", "skip", "since", "upto", "docs", "count", "force", "name", "timeout", "code", "x"]),
    st.sampled_from(["true", "true", "false", "1", "0", "-1", "200", "99999999999999999999", "x", "", "\0", "1.5", "a/b", "é"]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    max_size=3,
)  # fmt: skip
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded", "text/plain; charset=utf-7", 'text/plain; charset="x', "/", "", ";", "a/b;c=d"]),
        "accept": st.sampled_from(["application/json", "text/html", "*/*;q=0", "q", ";;,", "*/*;q=nan"]),
        "x-request-id": st.sampled_from(["sid_x", "abc", ""]),
        "x-require-whisk-auth": st.sampled_from(["pass", "\u00e9"]),
        "authorization": st.sampled_from(["Basic", "Basic ", "Basic %", "Basic " + base64.b64encode(b"\xff:\xff").decode(), "Bearer x", "", "Basic é"]),
    },
)  # fmt: skip


@st.composite
def paths(draw: st.DrawFn) -> str:
    """A path of the API, of a web action or of neither."""
    kind = draw(st.integers(0, 9))
    if kind < 7:
        tail = draw(st.sampled_from(["", "/", "/{}", "/{}", "/{}", "/{}", "/{}/{}", "/{}/logs", "/{}/{}/{}"]))
        collection = draw(st.sampled_from([*sorted(COLLECTIONS), "limits", "nothing"]))
        return f"/api/v1/namespaces/{draw(NAMESPACES)}/{collection}" + _filled(draw, tail)
    if kind < 9:
        return "/api/v1/web/" + _filled(draw, draw(st.sampled_from(["guest/default/{}", "guest/p/{}", "guest/{}/{}", "{}/default/a/{}"])))
    return draw(st.sampled_from(["/", "/api/v1", "/api/v1/namespaces", "/api", "/api/v1/api-docs", "//", "/api/v1/web", "/%ff", "/invoker/x"]))


def _filled(draw: st.DrawFn, pattern: str) -> str:
    return pattern.format(*(draw(NAMES) for _ in range(pattern.count("{}"))))


_ACTIONS_FAULT = (502,)
"""The real server's answer where an action failed."""


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes, dict[str, str]]:
    """One request."""
    query = "&".join(f"{name}={quote(value)}" for name, value in draw(QUERY).items())
    headers = draw(HEADERS) if draw(st.integers(0, 3)) == 0 else {}
    return draw(METHODS), draw(paths()) + (f"?{query}" if query else ""), draw(BODIES), headers


def prepared(folder: Path) -> LocalWhisk:
    """An engine that has one of each kind."""
    local = LocalWhisk(folder)
    local.call("PUT", "packages/p", {})
    for name in ("a", "p/a"):
        local.put_web(name)
    local.call("PUT", "triggers/t", {})
    local.put_rule("r", "t", "a")
    return local


@fuzz.profile(60)
@given(st.lists(requests(), min_size=1, max_size=12))
def test_no_request_is_answered_with_500(calls: list[tuple[str, str, bytes, dict[str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        local = prepared(Path(folder))
        try:
            for method, path, body, headers in calls:
                status = _status(local, method, path, body, headers)
                assert 200 <= status < 500 or status in _ACTIONS_FAULT, (method, path, body, headers)
            assert local.call("GET", "actions").status == 200
        finally:
            local.close()


def _status(local: LocalWhisk, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    sent: dict[str, Any] = {name: value.encode("utf-8").decode("latin-1") for name, value in headers.items()}
    return local.call(method, quote(path, safe="/%?=&;+"), body, headers=sent).status


# -- what it found ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credentials", ["Basic \u00e9\u00e9\u00e9\u00e9", "Basic ====", "Basic /w==", "Basic", "Basic " + "A" * 100_000])
def test_credentials_that_are_no_base64_are_401(local: LocalWhisk, credentials: str) -> None:
    sent = {"authorization": credentials.encode().decode("latin-1")}
    assert local.call("GET", "actions", identity=None, headers=sent).status == 401


@pytest.mark.parametrize("key", ["", ":", f"{GUEST.uuid}:", f"{GUEST.uuid}:\u00e9", f"{GUEST.uuid}:{GUEST.key}x", f"{GUEST.uuid}:{GUEST.key[:-1]}", f"{GUEST.uuid}:" + "k" * 100_000, f"\0{GUEST.auth}", f" {GUEST.auth}"])
def test_wrong_keys_are_401(local: LocalWhisk, key: str) -> None:
    sent = {"authorization": "Basic " + base64.b64encode(key.encode()).decode()}
    assert local.call("GET", "actions", identity=None, headers=sent).status == 401


@pytest.mark.parametrize("status", [[], {}, 1, True, "\ud800"])
def test_a_rule_s_state_that_is_none_is_400(local: LocalWhisk, status: object) -> None:
    assert local.call("POST", "rules/r", {"status": status}).status == 400


def test_half_a_surrogate_pair_in_a_web_action_s_secret_or_answer(local: LocalWhisk) -> None:
    local.put_web("w", require_whisk_auth="\ud800")
    for sent in ({}, {"x-require-whisk-auth": "??"}, {"x-require-whisk-auth": "\u00e9"}):
        assert local.call("GET", "/api/v1/web/guest/default/w", identity=None, headers=sent).status == 401
    local.put_web("w")
    for extension in ("http", "json", "html", "svg", "text"):
        answer = local.call("GET", f"/api/v1/web/guest/default/w.{extension}?x=1", {extension: "\ud800", "body": "\ud800"})
        assert answer.status < 500
