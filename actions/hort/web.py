"""Web actions: the request as OpenWhisk hands it over (raw or merged), and the answer it wants back."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from hort import strict_json

KEY_HEADER = "x-hort-key"

Args = Mapping[str, Any]
Result = dict[str, Any]


class BadBody(ValueError):
    """The request's body cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a raw web action; `key` is the only header that is looked at."""

    method: str
    path: tuple[str, ...]
    body: bytes
    user: str = ""
    key: str = ""


def request(args: Args) -> Request:
    """The request in an action's arguments."""
    headers = args.get("__ow_headers")
    found = headers if isinstance(headers, dict) else {}
    key = next((value for name, value in found.items() if str(name).lower() == KEY_HEADER), "")
    path = str(args.get("__ow_path") or "")
    return Request(
        method=str(args.get("__ow_method") or "get").upper(),
        path=tuple(unquote(part) for part in path.split("/") if part),
        body=raw_body(args.get("__ow_body")),
        user=str(args.get("__ow_user") or ""),
        key=key if isinstance(key, str) else "",
    )


def raw_body(value: object) -> bytes:
    """The bytes of a raw web action's body: base64 where OpenWhisk took it for binary (JSON too), else the text itself."""
    if not isinstance(value, str):
        return b"" if value is None else json.dumps(value).encode()
    text = value.strip()
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "surrogatepass")


def json_object(body: bytes, *, limit: int) -> dict[str, Any]:
    """The JSON object in a body; BadBody where there is none."""
    if len(body) > limit:
        raise BadBody(f"the body must not be larger than {limit} bytes, got {len(body)}")
    try:
        value = strict_json.loads(body)
    except strict_json.Refused as error:
        raise BadBody(f"the body must be a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise BadBody(f"the body must be a JSON object, got {type(value).__name__}")
    return value


def may_write(request: Request, *, key: str) -> bool:
    """True for the namespace's owner (Basic auth) and for whoever sends the bound key."""
    namespace = os.environ.get("__OW_NAMESPACE", "")
    if namespace and request.user == namespace:
        return True
    return bool(key) and hmac.compare_digest(*(text.encode("utf-8", "surrogatepass") for text in (request.key, key)))


def answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Result:
    """An HTTP answer with a JSON body."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store", **(headers or {})},
        "body": body,
    }


def problem(status: int, message: str, **facts: Any) -> Result:
    """An HTTP answer that says what was wrong."""
    return answer(status, {"error": message, **facts})
