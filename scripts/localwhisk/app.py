"""The ASGI application: from a request to the handler that answers it, and errors into responses."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from localwhisk import (
    api_actions,
    api_activations,
    api_packages,
    api_rules,
    api_triggers,
    browsers,
    identity,
    info,
    messages,
    names,
    negotiation,
    page,
    targets,
    web,
)
from localwhisk.api import ApiCall
from localwhisk.browsers import Gate
from localwhisk.engine import Engine
from localwhisk.errors import ApiError, PlainError, rejected, route_not_found
from localwhisk.http import (
    CHALLENGE,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    error_response,
    json_value,
    plain_error_response,
    text,
)

log = logging.getLogger("localwhisk.app")
Handler = Callable[[ApiCall], Awaitable[Response]]

API = ["api", "v1"]
_PARTS_LIMITS = 4

# (collection, method, number of path parts after it) -> handler
_ROUTES: Mapping[tuple[str, str, int], Handler] = {
    ("actions", "GET", 0): api_actions.list_all,
    ("actions", "GET", 1): api_actions.get,
    ("actions", "PUT", 1): api_actions.put,
    ("actions", "DELETE", 1): api_actions.delete,
    ("actions", "POST", 1): api_actions.invoke,
    ("actions", "GET", 2): api_actions.get,
    ("actions", "PUT", 2): api_actions.put,
    ("actions", "DELETE", 2): api_actions.delete,
    ("actions", "POST", 2): api_actions.invoke,
    ("packages", "GET", 0): api_packages.list_all,
    ("packages", "GET", 1): api_packages.get,
    ("packages", "PUT", 1): api_packages.put,
    ("packages", "DELETE", 1): api_packages.delete,
    ("triggers", "GET", 0): api_triggers.list_all,
    ("triggers", "GET", 1): api_triggers.get,
    ("triggers", "PUT", 1): api_triggers.put,
    ("triggers", "DELETE", 1): api_triggers.delete,
    ("triggers", "POST", 1): api_triggers.fire_trigger,
    ("rules", "GET", 0): api_rules.list_all,
    ("rules", "GET", 1): api_rules.get,
    ("rules", "PUT", 1): api_rules.put,
    ("rules", "DELETE", 1): api_rules.delete,
    ("rules", "POST", 1): api_rules.switch,
    ("activations", "GET", 0): api_activations.list_all,
    ("activations", "GET", 1): api_activations.get,
    ("activations", "GET", 2): api_activations.get,
}
COLLECTIONS = frozenset(collection for collection, _, _ in _ROUTES)


class App:
    """ASGI 3 application of one engine; without a gate every page in a browser may call it."""

    def __init__(self, engine: Engine, gate: Gate | None = None) -> None:
        self.engine = engine
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request.from_scope(scope, receive, max_body=self.engine.limits.request)
        response = await self.respond(request)
        if _is_web(request):
            response.headers += browsers.APART
        elif page.wanted(request):  # a browser that is asked for a key sends it for pages of other sites, too
            response.headers = [header for header in response.headers if header[0] != CHALLENGE]
        await response.send(send, transaction_id=request.transaction_id, head=request.method == "HEAD")

    async def respond(self, request: Request) -> Response:
        """The response to a request; never raises."""
        try:
            return self._negotiated(request, await self._route(request))
        except ApiError as error:
            return self._negotiated(request, error_response(error, request.transaction_id))
        except PlainError as error:
            return plain_error_response(error)
        except Exception:
            log.exception("%s %s failed (%s)", request.method, request.path, request.transaction_id)
            return text(messages.INTERNAL_ERROR, 500)

    def _negotiated(self, request: Request, response: Response) -> Response:
        offered = response.offered
        if offered is None or negotiation.quality(request.accept(), offered) > 0:
            return response
        return error_response(rejected(406, messages.not_acceptable(offered)), request.transaction_id)

    async def _route(self, request: Request) -> Response:
        limit = self.engine.limits.uri
        if len(request.target) > limit:
            raise PlainError(414, messages.uri_too_long(limit), close=True)
        targets.check(request.target)
        if self._gate is not None:
            self._gate.check(request, web=_is_web(request))
        parts = request.segments()
        if parts[:2] != API:
            return await info.outside(self.engine, request)
        if request.method not in web.ALLOWED.split(", "):
            raise rejected(405, messages.method_not_allowed(web.ALLOWED), headers=(("allow", web.ALLOWED),))
        if parts[2:3] == ["web"] and web.serves(parts):
            return await web.handle(self.engine, request)
        return await self._api(request, parts[2:])

    async def _api(self, request: Request, parts: list[str]) -> Response:
        open_answer = info.inside(request, parts)
        if open_answer is not None:
            return open_answer.with_cors()
        caller = self.engine.identities.require(request.header("authorization"))
        if not parts or parts[0] != "namespaces":
            raise route_not_found()
        response = await self._namespaces(request, caller, parts[1:])
        return response.with_cors()

    async def _namespaces(self, request: Request, caller: identity.Identity, parts: list[str]) -> Response:
        if parts in ([], [""]):
            return _list_namespaces(request, caller)
        if len(parts) < 2 or parts[1] not in (*COLLECTIONS, "limits"):  # namespace, collection
            raise route_not_found()
        namespace = caller.namespace if parts[0] == names.OWN_NAMESPACE else names.namespace_name(parts[0])
        if parts[1] == "limits":
            return self._limits(request, caller, namespace, parts[2:])
        return await self._collection(request, caller, namespace, parts[1:])

    def _limits(
        self, request: Request, caller: identity.Identity, namespace: str, rest: list[str]
    ) -> Response:
        if request.method != "GET":
            raise route_not_found()
        if rest not in ([], [""]):
            raise rejected(400, messages.collection_routes_missing("limits"))
        if caller.namespace != namespace:
            raise ApiError(403, messages.not_authorized(namespace))
        return json_value(self.engine.throttle.limits(namespace).namespace_document())

    async def _collection(
        self, request: Request, caller: identity.Identity, namespace: str, parts: list[str]
    ) -> Response:
        collection, rest = parts[0], parts[1:]
        handler: Handler | None
        if collection == "actions" and len(rest) == 2 and rest[1] == "":  # package, ''
            handler = api_actions.list_package if request.method == "GET" else None
            rest = rest[:1]
        else:
            rest = [] if rest == [""] else rest
            handler = _ROUTES.get((collection, request.method, len(rest)))
        if handler is None:
            raise route_not_found()
        if collection != "activations":
            for part in rest:
                names.entity_name(part)
        call = ApiCall(engine=self.engine, request=request, identity=caller, namespace=namespace, rest=rest)
        return await handler(call)


def _is_web(request: Request) -> bool:
    return request.segments()[:3] == [*API, "web"]


def _list_namespaces(request: Request, caller: identity.Identity) -> Response:
    if request.method != "GET":
        raise route_not_found()
    return json_value([caller.namespace])
