"""Packages and bindings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from localwhisk import messages, names, puts
from localwhisk.access import require_owner
from localwhisk.api import ApiCall, Page
from localwhisk.entities import Action, KeyValues, Package, annotation, merged
from localwhisk.errors import ApiError, malformed, missing
from localwhisk.http import Response, json_value

COLLECTION = Package.COLLECTION
_ENTITY_WORDS = {1: "entity"}
_REWRITTEN = {
    404: ApiError(400, messages.BINDING_TARGET_MISSING),
    409: ApiError(409, messages.BINDING_NO_PACKAGE),
}


async def list_all(call: ApiCall) -> Response:
    """GET packages: all of one's own, those of another namespace that are shared and no bindings."""
    page = Page.read(call.request, COLLECTION, call.engine.limits)
    own = call.namespace == call.identity.namespace
    found = call.engine.catalog.of_kind(
        Package, lambda package: package.path == call.namespace and (own or _is_public(package))
    )
    return page.answer(found, COLLECTION, Package.summary)


async def get(call: ApiCall) -> Response:
    """GET packages/<name>: parameters of a binding's provider merged in, with its actions and feeds."""
    doc = _doc(call)
    try:
        call.engine.access.check_package(call.identity, doc)
    except ApiError as error:
        raise _named(error, doc) from None
    found = call.engine.access.package(doc)
    document = found.package.document(found.parameters)
    actions = call.engine.catalog.actions_in(found.provider.doc)
    feeds = [action.digest() for action in actions if _is_feed(action)]
    others = [action.digest() for action in actions if not _is_feed(action)]
    return json_value({"actions": others, **document, "feeds": feeds})


async def put(call: ApiCall) -> Response:
    """PUT packages/<name>."""
    doc, name = _doc(call), call.rest[0]
    require_owner(call.identity, call.namespace, doc)
    body = await puts.read(call.request, call.identity.namespace, call.engine.limits)
    overwrite = call.request.flag("overwrite")
    names.package_allowed(name)
    binding, header = _binding(call, body), puts.Header.of(body)
    _check_accessible(call, binding)
    current = call.engine.catalog.find(Package, doc)
    if current is not None and not overwrite:
        raise ApiError(409, messages.CONFLICT_EXISTS)
    if binding is not None and current is not None and current.binding is None:
        raise ApiError(409, messages.PACKAGE_TO_BINDING)
    if binding is not None and call.engine.catalog.require(Package, "/".join(binding)).binding is not None:
        raise ApiError(400, messages.BINDING_OF_BINDING)
    package = (
        _created(call, body, header, binding)
        if current is None
        else _updated(call, current, body, header, binding)
    )
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


def _is_public(package: Package) -> bool:
    return package.publish and package.binding is None


def _is_feed(action: Action) -> bool:
    return annotation(action.annotations, "feed") is not None


def _named(error: ApiError, doc: str) -> ApiError:
    """Packages name themselves in their 404."""
    if error.status == missing().status:
        return ApiError(error.status, messages.resource_missing(doc))
    return error


def _binding(call: ApiCall, body: puts.Put) -> tuple[str, str] | None:
    """The binding a PUT asks for; an empty object means none."""
    value = body.body.get("binding", {})
    if value == {}:
        return None
    if not isinstance(value, dict):
        raise malformed(messages.object_expected("namespace"))
    namespace, name = _member(value, "namespace"), _member(value, "name")
    return call.namespace if namespace == names.OWN_NAMESPACE else namespace, name


def _member(value: Mapping[str, Any], member: str) -> str:
    if member not in value:
        raise malformed(messages.member_missing(member))
    name = value[member]
    if not isinstance(name, str) or not names.is_name(name):
        raise malformed(messages.ENTITY_NAME_MALFORMED)
    return name


def _check_accessible(call: ApiCall, binding: tuple[str, str] | None) -> None:
    """Raise for a binding to what is not there, no package, or somebody else's."""
    if binding is None:
        return
    try:
        call.engine.access.check_package(call.identity, "/".join(binding))
    except ApiError as error:
        raise _REWRITTEN.get(error.status, error) from None


def _created(
    call: ApiCall, body: puts.Put, header: puts.Header, binding: tuple[str, str] | None
) -> Package:
    return Package(
        path=call.namespace,
        name=call.rest[0],
        version=header.version or "0.0.1",
        updated=call.engine.catalog.stamp(),
        publish=header.publish or False,
        annotations=_with_binding(body.annotations or (), binding),
        parameters=body.parameters or (),
        binding=binding,
    )


def _updated(
    call: ApiCall,
    current: Package,
    body: puts.Put,
    header: puts.Header,
    binding: tuple[str, str] | None,
) -> Package:
    kept = binding or current.binding
    annotations = current.annotations if body.annotations is None else body.annotations
    return replace(
        current,
        version=header.version or puts.next_version(current.version),
        updated=call.engine.catalog.stamp(),
        publish=current.publish if header.publish is None else header.publish,
        annotations=_with_binding(annotations, kept),
        parameters=current.parameters if body.parameters is None else body.parameters,
        binding=kept,
    )


def _with_binding(annotations: KeyValues, binding: tuple[str, str] | None) -> KeyValues:
    """Annotations with the one that tells of the binding, which no client can give."""
    others = [pair for pair in annotations if pair["key"] != "binding"]
    if binding is None:
        return merged(others)
    value = {"name": binding[1], "namespace": binding[0]}
    return merged(others, [{"key": "binding", "value": value}])
