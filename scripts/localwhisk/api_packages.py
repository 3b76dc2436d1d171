"""Packages and bindings."""

from __future__ import annotations

from dataclasses import replace

from localwhisk import messages, names, puts
from localwhisk.access import forbidden, require_owner
from localwhisk.api import ApiCall, Page
from localwhisk.entities import Action, KeyValues, Package, annotation, merged
from localwhisk.errors import ApiError, malformed, missing
from localwhisk.http import Response, json_value

COLLECTION = Package.COLLECTION
_ENTITY_WORDS = {1: "entity"}


async def list_all(call: ApiCall) -> Response:
    """GET packages: all of one's own, the shared ones of another namespace."""
    page = Page.read(call.request, COLLECTION, call.engine.limits)
    own = call.namespace == call.identity.namespace
    found = call.engine.catalog.of_kind(
        Package, lambda package: package.path == call.namespace and (own or package.publish)
    )
    return page.answer(found, COLLECTION, Package.summary)


async def get(call: ApiCall) -> Response:
    """GET packages/<name>: parameters of a binding's provider merged in, with its actions and feeds."""
    doc = _doc(call)
    try:
        package = call.engine.access.readable_package(call.identity, doc, call.namespace)
        provider = call.engine.access.provider(call.identity, package)
    except ApiError as error:
        raise _named(error, doc) from None
    document = package.document(call.engine.access.parameters(package, provider))
    actions = call.engine.catalog.actions_in(provider.doc)
    feeds = [action.digest() for action in actions if _is_feed(action)]
    others = [action.digest() for action in actions if not _is_feed(action)]
    return json_value({"actions": others, **document, "feeds": feeds})


async def put(call: ApiCall) -> Response:
    """PUT packages/<name>."""
    doc, name = _doc(call), call.rest[0]
    require_owner(call.identity, call.namespace, doc)
    overwrite = call.request.flag("overwrite")
    body = await puts.read(call.request, call.engine.limits, first_field="binding")
    names.package_allowed(name)
    binding = _binding(call, body)
    current = call.engine.catalog.find(Package, doc)
    if current is not None and not overwrite:
        raise ApiError(409, messages.CONFLICT_EXISTS)
    if binding is not None and current is not None and current.binding is None:
        raise ApiError(409, messages.PACKAGE_TO_BINDING)
    if binding is not None and call.engine.catalog.require(Package, "/".join(binding)).binding is not None:
        raise ApiError(400, messages.BINDING_OF_BINDING)
    package = _created(call, body, binding) if current is None else _updated(call, current, body, binding)
    await call.engine.catalog.save(package)
    return json_value(package.document())


async def delete(call: ApiCall) -> Response:
    """DELETE packages/<name>: refused while there are actions in it, unless forced."""
    doc = _doc(call)
    require_owner(call.identity, call.namespace, doc)
    force = call.request.flag("force")
    package = call.engine.catalog.require(Package, doc)
    actions = [] if package.binding else call.engine.catalog.actions_in(doc)
    if actions and not force:
        entities = _ENTITY_WORDS.get(len(actions), "entities")
        raise ApiError(409, messages.PACKAGE_NOT_EMPTY.format(count=len(actions), entities=entities))
    await call.engine.catalog.remove(package, *actions)
    for action in actions:
        call.engine.runtimes.forget(f"/{action.doc}")
    return json_value(package.document())


def _doc(call: ApiCall) -> str:
    return f"{call.namespace}/{call.rest[0]}"


def _is_feed(action: Action) -> bool:
    return annotation(action.annotations, "feed") is not None


def _named(error: ApiError, doc: str) -> ApiError:
    """Packages name themselves in their 404."""
    if error.status == missing().status:
        return ApiError(error.status, messages.resource_missing(doc))
    return error


def _binding(call: ApiCall, body: puts.Put) -> tuple[str, str] | None:
    """The binding a PUT asks for, checked; an empty object means none."""
    value = body.body.get("binding")
    if not value:
        return None
    if not isinstance(value, dict):
        raise malformed(messages.OBJECT_EXPECTED)
    for member in ("namespace", "name"):
        if not isinstance(value.get(member), str):
            raise malformed(messages.member_missing(member))
    own = call.identity.namespace
    namespace = own if value["namespace"] == names.OWN_NAMESPACE else value["namespace"]
    target = call.engine.catalog.get(f"{namespace}/{value['name']}")
    readable = isinstance(target, Package) and target.publish
    if namespace != own and not readable:
        raise forbidden(f"{namespace}/{value['name']}")
    if target is None:
        raise ApiError(400, messages.BINDING_TARGET_MISSING)
    if not isinstance(target, Package):
        raise ApiError(409, messages.BINDING_NO_PACKAGE)
    return target.path, target.name


def _created(call: ApiCall, body: puts.Put, binding: tuple[str, str] | None) -> Package:
    return Package(
        path=call.namespace,
        name=call.rest[0],
        version=body.version or "0.0.1",
        updated=call.engine.catalog.stamp(),
        publish=body.publish or False,
        annotations=_with_binding(body.annotations or (), binding),
        parameters=body.parameters or (),
        binding=binding,
    )


def _updated(call: ApiCall, current: Package, body: puts.Put, binding: tuple[str, str] | None) -> Package:
    kept = binding or current.binding
    annotations = current.annotations if body.annotations is None else body.annotations
    return replace(
        current,
        version=body.version or puts.next_version(current.version),
        updated=call.engine.catalog.stamp(),
        publish=current.publish if body.publish is None else body.publish,
        annotations=_with_binding(annotations, kept),
        parameters=current.parameters if body.parameters is None else body.parameters,
        binding=kept,
    )


def _with_binding(annotations: KeyValues, binding: tuple[str, str] | None) -> KeyValues:
    if binding is None:
        return annotations
    value = {"name": binding[1], "namespace": binding[0]}
    return merged(annotations, [{"key": "binding", "value": value}])
