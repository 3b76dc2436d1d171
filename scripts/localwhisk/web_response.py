"""Web actions: from an action's result to an HTTP response, by extension (CTL WebActions.scala)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from localwhisk import jsonio, media, messages
from localwhisk.activations import Activation
from localwhisk.errors import ApiError, PlainError, terminated
from localwhisk.execs import is_base64
from localwhisk.http import JSON, PLAIN, TEXT, Response, error_response

_HTML = "text/html; charset=UTF-8"
_SVG = "image/svg+xml"
_HTTP_FORM = "message/http"
_STATUSES = range(200, 600)
_EMPTY = (204, 205, 304)  # have no body, whatever the action gives
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,9}\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OWN_HEADERS = frozenset(("content-length", "transfer-encoding", "connection", "date", "server"))


def render(activation: Activation, extension: str, transaction_id: str) -> Response:
    """The response to a finished activation."""
    try:
        return _EXTENSIONS[extension](_visible(activation))
    except ApiError as error:
        return error_response(error, transaction_id)


def _visible(activation: Activation) -> Any:
    """Result to render: of an application error what stands under `error`."""
    if activation.status == "success":
        if isinstance(activation.result, list):
            raise PlainError(500, messages.INTERNAL_ERROR)  # as the real server fails on arrays
        return activation.result
    if activation.status == "application error":
        return activation.result["error"]
    raise terminated(400, messages.WEB_ERROR_PROCESSING)


def _json(result: Any) -> Response:
    if not isinstance(result, (dict, list)):
        raise terminated(400, messages.invalid_media(JSON))
    return _typed(jsonio.pretty(result), JSON)


def _html(result: Any) -> Response:
    return _typed(_property(result, "html", "text/html").encode("utf-8", "replace"), _HTML)


def _svg(result: Any) -> Response:
    return _typed(_property(result, "svg", _SVG).encode("utf-8", "replace"), _SVG)


def _text(result: Any) -> Response:
    value = result
    if isinstance(result, dict):
        key = next((name for name in ("body", "text") if name in result), None)
        if key is None:
            raise terminated(404, messages.WEB_PROPERTY_MISSING)
        value = result[key]
    shown = value.encode("utf-8", "replace") if isinstance(value, str) else jsonio.pretty(value)
    return Response(200, shown, TEXT, offered=PLAIN)


def _property(result: Any, name: str, media_type: str) -> str:
    """Text of the body, or of the property called like the extension, or the result itself."""
    value = result.get("body", result.get(name)) if isinstance(result, dict) else result
    if not isinstance(value, str):
        raise terminated(400, messages.invalid_media(media_type))
    return value


def _typed(body: bytes, content_type: str) -> Response:
    """An answer that the Accept header must let through."""
    return Response(200, body, content_type, offered=content_type)


def _http(result: Any) -> Response:
    if not isinstance(result, dict):
        raise _not_http()
    headers, content_type = _headers(result.get("headers", {}))
    body = result.get("body")
    empty = body is None or body == ""
    status = _status(result["statusCode"]) if "statusCode" in result else 204 if empty else 200
    if empty or status in _EMPTY:
        return Response(status, headers=headers)
    response = _with_text(body, content_type) if isinstance(body, str) else _with_json(body, content_type)
    response.status, response.headers = status, headers
    return response


def _status(value: Any) -> int:
    """A status that may be sent, known or not; whole numbers and texts of them."""
    if isinstance(value, str) and _WHOLE_NUMBER.match(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value not in _STATUSES:
        raise _not_http()
    return int(value)


def _headers(value: Any) -> tuple[list[tuple[str, str]], str | None]:
    """Headers of a result, and its content type apart."""
    if not isinstance(value, dict):
        raise _not_http()
    found: list[tuple[str, str]] = []
    content_type = None
    for name, given in value.items():
        for item in given if isinstance(given, list) else [given]:
            shown = _header_value(name, item)
            if name.lower() == "content-type":
                content_type = content_type or shown
            elif name.lower() not in _OWN_HEADERS:
                found.append((name.lower(), shown))
    return found, content_type


def _header_value(name: str, value: Any) -> str:
    if value is None or isinstance(value, (dict, list)) or not _HEADER_NAME.match(name):
        raise _not_http()
    shown = value if isinstance(value, str) else jsonio.dumps(value).decode()
    if _CONTROL.search(shown):
        raise _not_http()
    return shown


def _with_text(body: str, content_type: str | None) -> Response:
    """A text is HTML by default; of a type that is neither text nor known JSON it must be base64, of JSON it may be."""
    if content_type is None:
        return _typed(body.encode("utf-8", "replace"), _HTML)
    kind = _known(content_type)
    if kind.is_text:
        return _typed(body.encode("utf-8", "replace"), kind.for_text())
    if kind.is_known_json and not is_base64(body):
        return _typed(body.encode("utf-8", "replace"), kind.canonical())
    decoded = _base64(body)
    if decoded is None:
        raise terminated(400, messages.WEB_TYPE_MISMATCH)
    return _typed(decoded, kind.canonical())


def _with_json(body: Any, content_type: str | None) -> Response:
    if content_type is None:
        return _typed(jsonio.pretty(body), JSON)
    kind = media.parse(content_type)
    if kind is None or not kind.is_json:
        raise terminated(400, messages.WEB_TYPE_MISMATCH)
    return _typed(jsonio.pretty(body), kind.canonical())


def _known(content_type: str) -> media.MediaType:
    kind = media.parse(content_type)
    if kind is None:
        raise terminated(400, messages.WEB_UNKNOWN_TYPE)
    return kind


def _base64(body: str) -> bytes | None:
    """Decoded bytes, missing padding forgiven; None for what is no base64."""
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _not_http() -> ApiError:
    return terminated(400, messages.invalid_media(_HTTP_FORM))


_EXTENSIONS: Mapping[str, Callable[[Any], Response]] = {
    "http": _http,
    "json": _json,
    "html": _html,
    "svg": _svg,
    "text": _text,
}
EXTENSIONS = frozenset(_EXTENSIONS)
