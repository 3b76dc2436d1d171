import asyncio
from typing import Any

import pytest

from localwhisk.errors import ApiError, PlainError
from localwhisk.http import Request, without_dots


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/namespaces/_/actions/../../whisk.system/actions/alarms/alarm", "/api/v1/namespaces/whisk.system/actions/alarms/alarm"),
        ("/a/./b", "/a/b"),
        ("/a/b/..", "/a/"),
        ("/../../a", "/a"),
        ("/..", "/"),
        ("/a/.hidden/..x", "/a/.hidden/..x"),
        ("/a/%2e%2e/b", "/a/%2e%2e/b"),
        ("/a/b/", "/a/b/"),
    ],
)
def test_dots_of_a_path_are_followed(path: str, expected: str) -> None:
    assert without_dots(path) == expected


def request(*parts: bytes, whole: bool = True) -> Request:
    """A POST whose body comes in parts; one that is not whole ends with its client."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if whole:
        messages[-1]["more_body"] = False

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    return Request(method="POST", target="/", path="/", query="", headers=(), receive=receive, max_body=100)


@pytest.mark.parametrize("parts", [(b"ab",), (b"a", b"b"), (b"", b"ab"), (b"ab", b"")])
def test_a_body_comes_in_parts(parts: tuple[bytes, ...]) -> None:
    assert asyncio.run(request(*parts).body(most=2)) == b"ab"


@pytest.mark.parametrize("parts", [(), (b"a",), (b"a", b"b")])
def test_a_body_whose_client_is_gone_is_none(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(PlainError, match="ended before"):
        asyncio.run(request(*parts, whole=False).body())


@pytest.mark.parametrize("parts", [(b"abc",), (b"ab", b"c"), (b"ab", b"cd", b"")])
def test_a_body_that_is_too_large_is_measured_and_not_held(parts: tuple[bytes, ...]) -> None:
    size = sum(map(len, parts))
    with pytest.raises(ApiError, match=f"{size} > 2 bytes"):
        asyncio.run(request(*parts).body(most=2))
    with pytest.raises(PlainError, match="too large"):
        asyncio.run(request(*[b"x" * 60] * 3).body(most=2))
