"""A photo by its URL: the address judged and connected to as judged, redirects likewise, bounded in bytes and time; no name is taken from it."""

from __future__ import annotations

import time

from hort import outgoing, urls
from hort.errors import AddressRefused, CallFailed
from plates.errors import Refused

MAX_SECONDS = 15.0
_CODES = {"timeout": "download-too-slow", "too-large": "download-too-large"}
_HEADERS = {"Accept": "image/jpeg, image/png, image/webp"}


def fetch(
    url: str,
    *,
    policy: urls.Policy,
    deadline: float,
    max_bytes: int,
    resolver: urls.Resolver = urls.system_resolver,
) -> bytes:
    """The bytes at a URL; deadline is of time.monotonic. Refused says what stood in the way."""
    seconds = min(MAX_SECONDS, deadline - time.monotonic())
    if seconds <= 0:
        raise Refused("download-too-slow", "url", "no time is left to download it")
    try:
        answer = outgoing.get(
            url, policy=policy, headers=_HEADERS, timeout_s=seconds, max_bytes=max_bytes, resolver=resolver
        )
    except AddressRefused as error:
        raise Refused("download-refused", "url", error.reason) from error
    except CallFailed as error:
        raise Refused(_CODES.get(error.kind, "download-failed"), "url", error.reason) from error
    if answer.status != 200:
        raise Refused("download-failed", "url", f"the server answered with status {answer.status}")
    return answer.body
