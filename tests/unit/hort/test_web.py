import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import web
from hort.errors import ConfigError
from tests.support.paths import ROOT


def test_a_raw_request_is_read() -> None:
    body = base64.b64encode(b'{"a": 1}').decode()
    args = {
        "__ow_method": "put",
        "__ow_path": "/my%2Dmodel",
        "__ow_headers": {"X-HoRT-Key": "k", "authorization": "Basic c2VjcmV0"},
        "__ow_body": body,
        "__ow_query": "a=1&b=%26&a=2&redis_url=x",
        "redis_url": "redis://x",
    }
    request = web.request(args)
    assert request == web.Request("PUT", ("my-model",), b'{"a": 1}', "", "k", {"a": "2", "b": "&", "redis_url": "x"})
    assert "c2VjcmV0" not in repr(request)


def test_a_body_that_openwhisk_left_as_text_is_read_too() -> None:
    assert web.raw_body('{"url": "http://x/"}') == b'{"url": "http://x/"}'
    assert web.raw_body("") == b""
    assert web.raw_body(None) == b""
    assert web.raw_body({"a": 1}) == b'{"a": 1}'


@pytest.mark.parametrize("body", [b"", b"nope", b"[1]", b"1", b"\xff", b"{", b'{"a": NaN}', b"[" * 5000])
def test_a_body_must_be_a_json_object(body: bytes) -> None:
    with pytest.raises(web.BadBody, match="JSON object"):
        web.json_object(body, limit=10_000)


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b'{"a":%b}' % (b"1" * 5_000), b'{"a":18446744073709551616}', b'{"a":1e-400}', b'{"a":"\\ud800"}'])
def test_a_body_of_which_a_value_would_be_lost_is_refused(body: bytes) -> None:
    with pytest.raises(web.BadBody, match="JSON object"):
        web.json_object(body, limit=10_000)


def test_a_body_must_not_be_too_large() -> None:
    with pytest.raises(web.BadBody, match="10 bytes"):
        web.json_object(b'{"a": "0123456789"}', limit=10)


@pytest.mark.parametrize(
    ("user", "sent", "bound", "allowed"),
    [
        ("guest", "", "", True),
        ("other", "", "", False),
        ("", "", "", False),
        ("", "k", "k", True),
        ("", "K", "k", False),
        ("", "", "k", False),
        ("", "ü\ud800", "k", False),
        ("other", "k", "k", True),
    ],
)
def test_writers_are_the_owner_and_who_has_the_key(
    monkeypatch: pytest.MonkeyPatch, user: str, sent: str, bound: str, allowed: bool
) -> None:
    monkeypatch.setenv("__OW_NAMESPACE", "guest")
    assert web.may_write(web.Request("PUT", (), b"", user, sent), key=bound) is allowed


def test_without_a_namespace_nobody_is_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("__OW_NAMESPACE", raising=False)
    assert not web.may_write(web.Request("PUT", (), b""), key="")


@given(st.binary(max_size=200))
def test_any_bytes_survive_the_envelope(body: bytes) -> None:
    assert web.raw_body(base64.b64encode(body).decode()) == body


@pytest.mark.parametrize(
    "given", ["", "secre", "secret!", "SECRET", " secret", "secret\0", "s\u00e9cret", "\ud800", "\U0001f511", "secret" * 200_000]
)
def test_a_wrong_key_is_refused_whatever_it_holds(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("__OW_NAMESPACE", raising=False)
    assert not web.may_write(web.Request("PUT", (), b"", key=given), key="secret")
    assert web.may_write(web.Request("PUT", (), b"", key="secret"), key="secret")


@pytest.mark.parametrize("given", [None, 7, ["secret"], {"a": 1}, b"secret"])
def test_a_key_that_is_no_text_is_none(given: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("__OW_NAMESPACE", raising=False)
    for headers in ({"x-hort-key": given}, given, None):
        assert not web.may_write(web.request({"__ow_headers": headers}), key="secret")


def test_a_key_that_is_not_ascii_or_half_a_pair_is_compared_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("__OW_NAMESPACE", raising=False)
    for key in ("schl\u00fcssel", "\ud800"):
        assert web.may_write(web.Request("PUT", (), b"", key=key), key=key)
        assert not web.may_write(web.Request("PUT", (), b"", key="?"), key=key)


def test_without_a_key_set_no_key_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("__OW_NAMESPACE", raising=False)
    assert not web.may_write(web.Request("PUT", (), b"", key=""), key="")


def test_keys_are_compared_in_constant_time() -> None:
    """Every comparison of a key in the sources is hmac.compare_digest: a plain one would show in this search."""
    plain = re.compile(r"(?<![\w.])(?:\w+\.)*\w*(?:secret|password|auth_key|registry_key)\w* *(?:==|!=) |(?:==|!=) *(?:\w+\.)*\w*(?:secret|password|auth_key|registry_key)\b")
    found = [
        f"{path.name}: {line.strip()}"
        for folder in ("actions", "feeds", "scripts/localwhisk")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if plain.search(line)
    ]
    assert found == []


def test_what_is_bound_is_all_that_an_action_is_set_by() -> None:
    args = {"__ow_method": "get", "__ow_query": "redis_url=theirs", "__ow_body": "e30=", "__ow_headers": {}, "redis_url": "ours"}
    assert web.served(args, lambda request, settings: {**settings, **request.query}, away={}) == {"redis_url": "theirs"}
    assert web.served(args, lambda _, settings: settings, away={}) == {"redis_url": "ours"}
    assert web.served({"redis_url": "ours"}, lambda _, settings: settings, away={}) == {"redis_url": "ours"}, "the owner invokes it"


@pytest.mark.parametrize(
    ("error", "status"), [(ConnectionError("to 10.0.0.1:6379"), 503), (ConfigError("url", "http://10.0.0.1:9", "is odd"), 500), (KeyError("<img>10.0.0.1"), 500)]
)
def test_whatever_fails_is_an_answer_without_its_text(error: Exception, status: int) -> None:
    def fail() -> web.Result:
        raise error

    answer = web.guarded(fail, away={ConnectionError: "Redis"})
    assert (answer["statusCode"], "10.0.0.1" in repr(answer), "<img>" in repr(answer)) == (status, False, False)
    assert answer["headers"]["content-security-policy"].startswith("default-src 'none'")


def test_a_query_that_is_too_long_is_none() -> None:
    assert web.request({"__ow_query": "a=1&" * 101}).query == {}
