"""Answers that need no credentials: root document, version, health, CORS preflight."""

from __future__ import annotations

from collections.abc import Callable

from localwhisk import kinds, messages, page
from localwhisk.engine import Engine
from localwhisk.errors import rejected
from localwhisk.http import CORS_HEADERS, Request, Response, json_value, text

_OPTIONS = "OPTIONS"
_INVOKER_METHODS = "OPTIONS, GET, POST"


async def outside(engine: Engine, request: Request) -> Response:
    """Paths that are not under /api/v1; raises 405 for all others, as the real server does."""
    answer = _PAGES.get(request.path)
    if answer is None:
        raise _not_allowed(_OPTIONS)
    if request.method == _OPTIONS:
        return text("OK")
    if request.method != "GET":
        raise _not_allowed("GET, OPTIONS")
    if request.path == "/" and page.wanted(request):
        return page.answer(engine, request)
    return answer(engine)


def inside(request: Request, parts: list[str]) -> Response | None:
    """Paths under /api/v1 that anyone may ask for; None for all others."""
    if request.method == _OPTIONS:
        return text("OK")
    if request.method != "GET":
        return None
    if parts in ([], [""]):
        return json_value(_VERSION)
    if parts == ["api-docs"]:
        return json_value(_API_DOCS)
    return None


def root_document(engine: Engine) -> Response:
    """What clients ask first: limits and runtimes."""
    return json_value(
        {
            "api_paths": ["/api/v1"],
            "description": "OpenWhisk",
            "limits": engine.limits.root_document(),
            "runtimes": kinds.document(),
            "support": {
                "github": "https://github.com/apache/openwhisk/issues",
                "slack": "http://slack.openwhisk.org",
            },
        }
    )


def _ping(_engine: Engine) -> Response:
    return text("pong")


def _invokers(_engine: Engine) -> Response:
    return _operations(json_value({}))


def _healthy_count(_engine: Engine) -> Response:
    return _operations(json_value(0))


def _ready(_engine: Engine) -> Response:
    return _operations(json_value({"unhealthy": "0/0"}, 500))


def _activation_count(engine: Engine) -> Response:
    running = sum(engine.throttle.in_flight(name) for name in engine.identities.namespaces())
    return _operations(json_value(running))


def _operations(response: Response) -> Response:
    response.headers += [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", _INVOKER_METHODS),
        ("access-control-allow-headers", CORS_HEADERS),
    ]
    return response


def _not_allowed(methods: str) -> Exception:
    return rejected(405, messages.method_not_allowed(methods), headers=(("allow", methods),))


_PAGES: dict[str, Callable[[Engine], Response]] = {
    "/": root_document,
    "/api/info": root_document,
    "/ping": _ping,
    "/invokers": _invokers,
    "/invokers/healthy/count": _healthy_count,
    "/invokers/ready": _ready,
    "/activation/count": _activation_count,
}
_VERSION = {
    "api_version": "1.0.0",
    "api_version_path": "v1",
    "build": "???",  # what a development build of the real server says
    "buildno": "standalone",
    "description": "OpenWhisk API",
    "swagger_paths": {"api-docs": "/api-docs", "ui": "/docs"},
}
_API_DOCS = {
    "swagger": "2.0",
    "info": {"title": "OpenWhisk REST API", "description": "API for OpenWhisk", "version": "0.1.0"},
    "produces": ["application/json"],
    "basePath": "/api/v1",
    "securityDefinitions": {"basicAuth": {"type": "basic"}},
    "security": [{"basicAuth": []}],
    "paths": {},
}
