"""Web actions: the request as OpenWhisk hands it over, and the answer it wants back.

All of ours that have settings are deployed raw: what a caller sends stays in `__ow_query` and `__ow_body`, so that no name in it
becomes a parameter, whether that is bound or not. The body of an answer is an object: OpenWhisk prints a text as HTML or SVG where
the caller asks for `.html` or `.svg`, and drops the headers there; an object it refuses.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from hort import strict_json
from hort.activation_log import log
from hort.errors import ConfigError

KEY_HEADER = "x-hort-key"
HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "x-content-type-options": "nosniff",
}
RETRY_S = 10
MAX_QUERY_FIELDS = 100

Args = Mapping[str, Any]
Settings = dict[str, Any]
Result = dict[str, Any]
Away = Mapping[type[Exception], str]
"""Errors of servers that do not answer, and what to call these."""


class BadBody(ValueError):
    """The request's body cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a raw web action; `key` is the only header that is looked at; of a repeated name in `query` the last counts."""

    method: str
    path: tuple[str, ...]
    body: bytes
    user: str = ""
    key: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


def served(args: Args, handle: Callable[[Request, Settings], Result], *, away: Away) -> Result:
    """A raw web action's answer by `handle`, which is given the request and what is bound to the action."""
    if "__ow_method" in args and "__ow_query" not in args:
        return problem(500, "this action is not set up: it must be deployed as a raw web action (annotation raw-http: true)")
    settings = {name: value for name, value in args.items() if not name.startswith("__ow_")}
    return guarded(lambda: handle(request(args), settings), away=away)


def guarded(answer_of: Callable[[], Result], *, away: Away) -> Result:
    """The answer, whatever fails: the runtime would make one of the error's text, with addresses and with what the caller sent."""
    try:
        return answer_of()
    except tuple(away) as error:
        log("web.away", error=type(error).__name__)
        name = next(name for kind, name in away.items() if isinstance(error, kind))
        return refusal(503, f"{name} does not answer ({type(error).__name__})", retry_s=RETRY_S)
    except ConfigError as error:
        log("web.not-set-up", error=str(error))
        return problem(500, f"this action is not set up: parameter '{error.name}' cannot be used")
    except Exception as error:  # noqa: BLE001  # the last resort before the runtime's own
        log("web.failed", error=type(error).__name__, at=[f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)])
        return problem(500, f"this action failed ({type(error).__name__}), its log says where")


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
        query=_query(args.get("__ow_query")),
    )


def _query(value: object) -> dict[str, str]:
    try:
        return dict(parse_qsl(str(value or ""), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS))
    except ValueError:
        return {}


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
    return bool(namespace and request.user == namespace) or has_key(request, key=key)


def has_key(request: Request, *, key: str) -> bool:
    """True for whoever sends the bound key; no key is bound where it is empty."""
    return bool(key) and hmac.compare_digest(*(text.encode("utf-8", "surrogatepass") for text in (request.key, key)))


def answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Result:
    """An HTTP answer with a JSON body."""
    return {"statusCode": status, "headers": {**HEADERS, **(headers or {})}, "body": body}


def problem(status: int, message: str, **facts: Any) -> Result:
    """An HTTP answer that says what was wrong."""
    return answer(status, {"error": message, **facts})


def refusal(status: int, message: str, *, retry_s: int, **facts: Any) -> Result:
    """An answer to ask again later; the body says when, too, since a page may not read that header of another origin."""
    return answer(status, {"error": message, "retry_after_s": retry_s, **facts}, {"retry-after": str(retry_s)})
