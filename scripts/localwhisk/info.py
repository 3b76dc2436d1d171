"""Answers that need no credentials: root document, version, health, CORS preflight."""

from __future__ import annotations

from collections.abc import Callable

from localwhisk import kinds, messages, page
from localwhisk.engine import Engine
from localwhisk.errors import rejected, route_not_found
from localwhisk.http import CORS_HEADERS, PLAIN, TEXT, Request, Response, json_value, text

_OPTIONS = "OPTIONS"
_SERVER_METHODS = "OPTIONS, GET, POST"
_PUBLIC, _OPERATIONS = "GET, OPTIONS", "OPTIONS, GET"  # the order tells which of its routes refuses first


async def outside(engine: Engine, request: Request) -> Response:
    """Paths that are not under /api/v1; raises 405 for all others, as the real server does."""
    if request.method == _OPTIONS:
        return _operations(text("OK"))
    answer, methods = _PAGES.get(request.path, (None, _OPTIONS))
    if answer is None and request.method == "GET" and request.path.startswith(_PREFIXES):
        raise route_not_found()
    if answer is None or request.method != "GET":
        raise _not_allowed(methods)
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
    return Response(200, b"pong", TEXT, offered=PLAIN)


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
        ("access-control-allow-methods", _SERVER_METHODS),
        ("access-control-allow-headers", CORS_HEADERS),
    ]
    return response


def _not_allowed(methods: str) -> Exception:
    return rejected(405, messages.method_not_allowed(methods), headers=(("allow", methods),))


_PREFIXES = ("/invokers/", "/activation/")
_PAGES: dict[str, tuple[Callable[[Engine], Response], str]] = {
    "": (root_document, _PUBLIC),
    "/": (root_document, _PUBLIC),
    "/api/info": (root_document, _PUBLIC),
    "/ping": (_ping, _PUBLIC),
    "/invokers": (_invokers, _OPERATIONS),
    "/invokers/": (_invokers, _OPERATIONS),
    "/invokers/healthy/count": (_healthy_count, _OPERATIONS),
    "/invokers/ready": (_ready, _OPERATIONS),
    "/activation/count": (_activation_count, _OPERATIONS),
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
