"""Web actions: from an HTTP request to the arguments of an action (CTL WebActions.scala, docs/webactions.md)."""

from __future__ import annotations

import base64
import codecs
import contextlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localwhisk import jsonio, media, messages, names, targets, web_response
from localwhisk.access import Resolved
from localwhisk.engine import Engine
from localwhisk.entities import annotation
from localwhisk.errors import ApiError, missing, terminated
from localwhisk.http import ACTIVATION_ID, CORS_HEADERS, Request, Response, error_response
from localwhisk.identity import Identity
from localwhisk.invoker import Call
from localwhisk.media import MediaType
from localwhisk.names import Name
from localwhisk.payloads import Payload

_NAMED = slice(3, 6)  # namespace, package and action, after api, v1 and web
METHODS = "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH"
ALLOWED = "GET, DELETE, POST, PUT, HEAD, OPTIONS, PATCH"
RESERVED = frozenset(("__ow_method", "__ow_headers", "__ow_path", "__ow_user", "__ow_query", "__ow_body"))
_OPTIONS = "OPTIONS"
_NO_TYPE = "none/none"  # what the server calls the type of an empty body
PASS_HEADER = "x-require-whisk-auth"  # noqa: S105  # a name, not a password
FETCH_HEADER = "sec-fetch-site"
"""Goes with all that a browser sends to this machine or by HTTPS, and no page can leave it out (Fetch Metadata)."""
_KEPT_APART = frozenset(("content-type", "content-length", "transfer-encoding"))
_NO_CHARSETS = frozenset(("idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"))
"""What Python can decode besides: a megabyte of some takes minutes, others fail."""
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL names: the action, its owner, how to render, and the rest of the path."""

    owner: Identity
    resolved: Resolved
    extension: str
    rest: str

    def setting(self, key: str) -> bool:
        """An annotation that counts only when it is the boolean true."""
        return annotation(self.resolved.action.annotations, key) is True


def serves(parts: Sequence[str]) -> bool:
    """Whether a path, in its decoded parts, is one of a web action: with names that could be; others are the API's to refuse."""
    named = parts[_NAMED]
    return len(named) == _NAMED.stop - _NAMED.start and all(map(names.is_name, named))


async def handle(engine: Engine, request: Request) -> Response:
    """Answer a request to /api/v1/web/<namespace>/<package>/<action>[.ext][/path]."""
    target = _target(engine, request)
    custom_options = target.setting("web-custom-options")
    cors = [] if custom_options else cors_headers(request)
    try:
        await _admit(engine, request, target)
        if request.method == _OPTIONS and not custom_options:
            return Response(200, headers=cors, offered=_NO_TYPE)
        response = await _run(engine, request, target)
    except ApiError as error:
        if not error.cors and request.header("origin") is None:
            raise  # as the real server; a page is to read why it was refused
        plain = ApiError(error.status, error.text, cors=False, negotiated=error.negotiated, headers=error.headers)
        response = error_response(plain, request.transaction_id)
    response.headers = cors + response.headers
    return response


def cors_headers(request: Request) -> list[tuple[str, str]]:
    """Headers of every answer, unless the action handles OPTIONS itself."""
    wanted = request.header("access-control-request-headers")
    return [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", METHODS),
        ("access-control-allow-headers", wanted or CORS_HEADERS),
    ]


async def _admit(engine: Engine, request: Request, target: Target) -> None:
    """Raise 429, 403 or 413 before keys are looked at; a preflight costs its owner an invocation, too."""
    if engine.identities.of_header(request.header("authorization")) is None:
        browser = request.header(FETCH_HEADER) is not None
        engine.throttle.check_anonymous(target.owner.namespace, target.resolved.action.doc, browser=browser)
    engine.throttle.check_invocation(target.owner.namespace, cors=False)
    name = names.of_parts(target.resolved.action.doc.split("/"), target.owner.namespace)
    try:
        engine.access.check_action(target.owner, name)  # behind a binding only while the package is shared
        await request.body(most=engine.limits.payload)
    except ApiError as error:
        raise terminated(error.status, error.text) from None


async def _run(engine: Engine, request: Request, target: Target) -> Response:
    caller = engine.identities.of_header(request.header("authorization"))
    _authorize(request, target, caller)
    arguments = await _arguments(request, target, caller)
    call = Call(
        identity=target.owner,
        resolved=target.resolved,
        payload=Payload.of(arguments),
        transaction_id=request.transaction_id,
    )
    activation = await engine.invoker.invoke(call, wait_ms=engine.limits.blocking_ms)
    if activation is None:
        response = error_response(terminated(202, messages.WEB_NOT_READY), request.transaction_id)
    else:
        response = web_response.render(activation, target.extension, request.transaction_id)
    response.headers.append((ACTIVATION_ID, call.activation_id))
    return response


def _target(engine: Engine, request: Request) -> Target:
    """Find the action; whatever is wrong with it is the same 404."""
    namespace, package, action = request.segments()[_NAMED]
    rest = "".join(f"/{part}" for part in request.path.split("/")[7:])
    entity, extension = split_extension(action)
    owner = engine.identities.of_namespace(namespace)
    if owner is None or not names.is_name(entity):
        raise _unknown()
    name = Name(namespace, None if package == names.DEFAULT_PACKAGE else package, entity)
    try:
        target = Target(owner, engine.access.resolved(name), extension, rest)
    except ApiError:
        raise _unknown() from None
    if not target.setting("web-export"):
        raise _unknown()
    return target


def split_extension(action: str) -> tuple[str, str]:
    """'hello.json' is action 'hello' shown as json; without a known extension it is http."""
    stem, dot, extension = action.rpartition(".")
    if dot and stem and extension in web_response.EXTENSIONS:
        return stem, extension
    return action, "http"


def _unknown() -> ApiError:
    return terminated(missing().status, messages.NOT_FOUND)


def _authorize(request: Request, target: Target, caller: Identity | None) -> None:
    """Enforce the annotation require-whisk-auth; a preflight, which cannot carry a key, passes."""
    if request.method == _OPTIONS:
        return
    required = annotation(target.resolved.action.annotations, "require-whisk-auth", default=False)
    if required is False:
        return
    if required is True:
        allowed = caller is not None
    else:  # an empty text, as an unset variable of a manifest leaves it, lets nobody in; the real server takes an empty header for it
        wanted = str(required) if isinstance(required, (str, int)) else ""
        given = request.header(PASS_HEADER) or ""
        allowed = wanted != "" and hmac.compare_digest(given.encode("latin-1"), wanted.encode("utf-8", "surrogatepass"))
    if not allowed:
        raise ApiError(401, messages.WEB_AUTH_FAILED)


async def _arguments(request: Request, target: Target, caller: Identity | None) -> dict[str, Any]:
    body = await request.body()
    content_type = _content_type(request, body)
    context = _context(request, target, caller, content_type)
    if target.setting("raw-http"):
        return context | {"__ow_query": targets.normal(request.query), "__ow_body": _raw_body(body, content_type)}
    arguments = dict(request.parameters())
    members, other = _parsed_body(body, content_type)
    arguments.update(members)
    _check_reserved(target, arguments)
    return arguments | context | ({} if other is None else {"__ow_body": other})


def _context(
    request: Request, target: Target, caller: Identity | None, content_type: MediaType | None
) -> dict[str, Any]:
    headers = {name: value for name, value in request.headers if name not in _KEPT_APART}
    if content_type is not None:
        headers["content-type"] = content_type.canonical()
    context: dict[str, Any] = {
        "__ow_method": request.method.lower(),
        "__ow_headers": headers,
        "__ow_path": target.rest,
    }
    if caller is not None:
        context["__ow_user"] = caller.namespace
    return context


def _content_type(request: Request, body: bytes) -> MediaType | None:
    declared = request.header("content-type")
    if declared is None:
        return MediaType(media.OCTETS) if body else None
    return media.parse(declared) or MediaType(media.OCTETS)


def _raw_body(body: bytes, content_type: MediaType | None) -> str:
    """Text, which the real server takes for UTF-8 whatever its charset is, and everything else as base64."""
    if content_type is not None and content_type.is_text:
        return body.decode("utf-8", "replace")
    return base64.b64encode(body).decode()


def _parsed_body(body: bytes, content_type: MediaType | None) -> tuple[dict[str, Any], Any]:
    """Members of an object or form, or else the body as a value for __ow_body."""
    if content_type is None or (content_type.is_json and not body):
        return {}, None
    if content_type.is_json:
        value = jsonio.parse_body(body)
        return (value, None) if isinstance(value, dict) else ({}, value)
    if content_type.name == _FORM:
        charset = _charset(content_type)
        return dict(targets.form(body.decode(charset, "replace"), charset)), None
    return {}, _raw_body(body, content_type)


def _charset(content_type: MediaType) -> str:
    """What a form is written in, by Python's name."""
    with contextlib.suppress(LookupError):
        charset = codecs.lookup(content_type.charset).name
        if charset not in _NO_CHARSETS:
            b"x".decode(charset, "replace")  # not all that can be looked up are for text
            return charset
    return "utf-8"


def _check_reserved(target: Target, arguments: dict[str, Any]) -> None:
    if not RESERVED.isdisjoint(arguments):
        raise ApiError(400, messages.PARAMETERS_NOT_ALLOWED)
    target.resolved.check_arguments(arguments)
