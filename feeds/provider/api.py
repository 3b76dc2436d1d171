"""The provider's REST API: registrations for the feed action, health and metrics for operators."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import redis
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from feeds.provider.log import log
from feeds.provider.meters import Meters
from feeds.provider.service import Caller, Lifecycle
from hort import feed_options, strict_json
from hort.errors import HortError
from hort.feed import SECRET_HEADER

BODY_LIMIT = 1_048_576


class _Answer(Exception):
    """Ends a request with a status and a text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class AlarmFeed(Protocol):
    """What answers alarm feeds."""

    def ask(self, kind: str, params: dict[str, Any], *, namespace: str, api_host: str) -> dict[str, Any]:
        """One life-cycle call."""


def application(
    lifecycle: Lifecycle, *, alarms: AlarmFeed, secret: str, meters: Meters, health: Callable[[], dict[str, Any]]
) -> Starlette:
    """The ASGI application."""

    async def registrations(request: Request) -> Response:
        _allow(request, secret)
        if request.method == "GET" and "trigger" not in request.query_params:
            rows = await run_in_threadpool(lifecycle.list)
            return JSONResponse({"registrations": rows})
        body = await _body(request)
        return JSONResponse(await run_in_threadpool(_act, lifecycle, request.method, _caller(request, body), body))

    async def alarm(request: Request) -> Response:
        _allow(request, secret)
        body = await _body(request)
        return JSONResponse(await run_in_threadpool(_ask_alarm, alarms, _key(request), body))

    async def healthy(_request: Request) -> Response:
        facts = await run_in_threadpool(health)
        return JSONResponse(facts, status_code=200 if facts["ok"] else 503)

    async def metrics(_request: Request) -> Response:
        text = await run_in_threadpool(meters.text)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Starlette(
        routes=[
            Route("/registrations", registrations, methods=["GET", "POST", "PUT", "DELETE"]),
            Route("/alarms", alarm, methods=["POST"]),
            Route("/health", healthy, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
        ],
        exception_handlers={
            _Answer: _counted(meters, _answer),
            HortError: _counted(meters, _refused),
            redis.RedisError: _counted(meters, _away),
        },
    )


def _act(lifecycle: Lifecycle, method: str, caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    if method == "GET":
        return lifecycle.read(caller)
    if method == "DELETE":
        return lifecycle.delete(caller)
    params = body.get("params") or {}
    if not isinstance(params, dict):
        raise _Answer(400, "'params' must be an object")
    params = feed_options.known(params)
    if method == "POST":
        return lifecycle.create(caller, params, keep=feed_options.kept(body))
    return lifecycle.update(caller, params, active=body.get("active"))


def _allow(request: Request, secret: str) -> None:
    given = request.headers.get(SECRET_HEADER, "")
    if not hmac.compare_digest(given.encode(), secret.encode()):
        raise _Answer(401, f"header {SECRET_HEADER} is missing or wrong")


async def _body(request: Request) -> dict[str, Any]:
    if request.method in ("GET", "DELETE"):
        return dict(request.query_params)
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_LIMIT:
            raise _Answer(413, f"the body is larger than {BODY_LIMIT} bytes")
    try:
        value = strict_json.loads(bytes(raw))
    except strict_json.Refused as error:
        raise _Answer(400, f"the body must be JSON: {error}") from error
    if not isinstance(value, dict) or value.get("active") not in (None, True, False):
        raise _Answer(400, "the body must be a JSON object, and 'active' true or false")
    return value


def _ask_alarm(alarms: AlarmFeed, key: str, body: dict[str, Any]) -> dict[str, Any]:
    params, texts = body.get("params"), [body.get(name) or "" for name in ("kind", "namespace", "api_host")]
    if not isinstance(params, dict) or not all(isinstance(text, str) for text in texts):
        raise _Answer(400, "'params' must be an object, 'kind', 'namespace' and 'api_host' are texts")
    kind, namespace, api_host = texts
    return alarms.ask(kind, {**params, "authKey": key}, namespace=namespace, api_host=api_host)


def _key(request: Request) -> str:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    try:
        key = base64.b64decode(credentials, validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:  # not base64, not ASCII or not UTF-8
        key = ""
    if ":" not in key or not key.isascii():
        raise _Answer(401, "the trigger's key must be given as basic authorization")
    return key


def _caller(request: Request, body: dict[str, Any]) -> Caller:
    key = _key(request)
    trigger, api_host = body.get("trigger"), body.get("api_host") or ""
    if not isinstance(trigger, str) or not isinstance(api_host, str):
        raise _Answer(400, "'trigger' must be given as /namespace/name, 'api_host' is text")
    return Caller(trigger, key, api_host)


Handler = Callable[[Request, Exception], Awaitable[Response]]


def _counted(meters: Meters, handler: Handler) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        response = await handler(request, error)
        meters.requests_refused.labels(str(response.status_code)).inc()
        log("request-refused", error=error, method=request.method, path=request.url.path, status=response.status_code)
        return response

    return handle


async def _answer(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=getattr(error, "status", 500))


async def _refused(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)


async def _away(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"the provider's Redis does not answer: {type(error).__name__}"}, status_code=503)
