"""Actions: list, read, create, update, delete, invoke."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from localwhisk import messages, names, payloads, puts
from localwhisk.access import Resolved, require_owner
from localwhisk.activations import Activation
from localwhisk.api import ApiCall, Page
from localwhisk.components import check_sequence
from localwhisk.entities import Action, Exec, KeyValues, Package, annotation, merged, truthy
from localwhisk.errors import ApiError, rejected
from localwhisk.http import ACTIVATION_ID, Response, json_bytes, json_value
from localwhisk.invoker import Call
from localwhisk.names import Name
from localwhisk.payloads import Payload

COLLECTION = Action.COLLECTION
PROVIDE_KEY = "provide-api-key"


async def list_all(call: ApiCall) -> Response:
    """GET actions: of the namespace and all its packages."""
    require_owner(call.identity, call.namespace)
    page = Page.read(call.request, COLLECTION, call.engine.limits)
    found = call.engine.catalog.of_kind(Action, lambda action: action.namespace == call.namespace)
    return page.answer(found, COLLECTION, Action.summary)


async def list_package(call: ApiCall) -> Response:
    """GET actions/<package>/: through a binding, those of its provider."""
    doc = f"{call.namespace}/{call.rest[0]}"
    page = Page.read(call.request, COLLECTION, call.engine.limits)
    package = call.engine.access.readable_package(call.identity, doc, call.namespace)
    provider = call.engine.access.provider(call.identity, package)
    return page.answer(call.engine.catalog.actions_in(provider.doc), COLLECTION, Action.summary)


async def get(call: ApiCall) -> Response:
    """GET actions/[package/]name."""
    resolved = call.engine.access.action(call.identity, _name(call))
    code = _code(call, resolved.action) if call.request.flag("code", default=True) else None
    return json_value(resolved.action.document(code, resolved.parameters))


async def put(call: ApiCall) -> Response:
    """PUT actions/[package/]name."""
    name = _name(call)
    require_owner(call.identity, call.namespace, name.doc)
    _check_package(call, name)
    overwrite = call.request.flag("overwrite")
    limits = call.engine.limits
    body = await puts.read(call.request, limits, first_field="exec")
    exec_ = puts.action_exec(body.body, call.identity.namespace, limits)
    current = call.engine.catalog.find(Action, name.doc)
    chosen = puts.action_limits(body.body, current.limits if current else None, limits)
    if current is not None and not overwrite:
        raise ApiError(409, messages.CONFLICT_EXISTS)
    _check_instances(call, body)
    if exec_ is None and current is None:
        raise ApiError(400, messages.EXEC_UNDEFINED)
    if exec_ is not None and exec_.kind == "sequence":
        check_sequence(call.engine, call.identity, name, exec_.components)
    action = _created(call, name, body, exec_) if current is None else _updated(call, current, body, exec_)
    action = replace(action, limits=chosen)
    code = exec_.code or "" if exec_ is not None else None
    await call.engine.catalog.save(action, code=code)
    if current is not None:
        call.engine.runtimes.forget(f"/{action.doc}")
    return json_value(action.document(_code(call, action) if code is None else code))


async def delete(call: ApiCall) -> Response:
    """DELETE actions/[package/]name."""
    name = _name(call)
    require_owner(call.identity, call.namespace, name.doc)
    action = call.engine.catalog.require(Action, name.doc)
    code = _code(call, action)
    await call.engine.catalog.remove(action)
    call.engine.runtimes.forget(f"/{action.doc}")
    return json_value(action.document(code))


async def invoke(call: ApiCall) -> Response:
    """POST actions/[package/]name: 200/502/500 with the record or result, or 202 with the activation's id."""
    call.engine.throttle.check_invocation(call.identity.namespace)
    blocking, result = call.request.flag("blocking"), call.request.flag("result")
    wait_ms = _wait(call)
    payload = await read_payload(call)
    resolved = call.engine.access.action(call.identity, _name(call))
    check_protected(resolved, payload)
    run = Call(
        identity=call.identity,
        resolved=resolved,
        payload=payload,
        transaction_id=call.request.transaction_id,
    )
    invoker = call.engine.invoker
    activation = None
    if blocking:
        activation = await invoker.invoke(run, wait_ms=wait_ms)
    else:
        await invoker.begin(run)
    response = (
        _accepted(run.activation_id)
        if activation is None
        else _finished(call, run, activation, result=result)
    )
    response.headers.append((ACTIVATION_ID, run.activation_id))
    return response


async def read_payload(call: ApiCall) -> Payload:
    """Arguments in the body; raises 413 before it is parsed."""
    raw = await call.request.json_body()
    limit = call.engine.limits.payload
    if len(raw) > limit:
        raise ApiError(413, messages.request_larger(len(raw), limit))
    return payloads.parse(raw)


def check_protected(resolved: Resolved, payload: Payload) -> None:
    """Refuse arguments that would replace final parameters."""
    if not truthy(annotation(resolved.action.annotations, "final", default=False)):
        return
    if not defined(resolved.parameters).isdisjoint(payload.value):
        raise ApiError(400, messages.PARAMETERS_NOT_ALLOWED)


def defined(parameters: KeyValues) -> set[str]:
    """Names of the parameters that have a value."""
    return {pair["key"] for pair in parameters if pair["value"] is not None}


def _accepted(activation_id: str) -> Response:
    return json_value({"activationId": activation_id}, 202)


def _finished(call: ApiCall, run: Call, activation: Activation, *, result: bool) -> Response:
    if activation.ok and isinstance(activation.result, list):
        return json_value(activation.result)
    status = {"success": 200, "whisk internal error": 500}.get(activation.status, 502)
    if result:
        return json_value(activation.result, status)
    with_logs = call.engine.invoker.composition_kind(run.action) is not None
    return json_bytes(activation.document(logs=with_logs), status)


def _wait(call: ApiCall) -> int:
    limit = call.engine.limits.blocking_ms
    value = call.request.parameter("timeout")
    if value is None:
        return limit
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= limit:
        raise rejected(
            400, messages.query_malformed("timeout", messages.TIMEOUT_MALFORMED.format(limit=limit))
        )
    return int(value)


def _name(call: ApiCall) -> Name:
    package = call.rest[0] if len(call.rest) > 1 else None
    if package == names.DEFAULT_PACKAGE:
        package = None
    return Name(call.namespace, package, call.rest[-1])


def _code(call: ApiCall, action: Action) -> str | None:
    return call.engine.catalog.code(action.doc) if action.exec.attached else None


def _check_package(call: ApiCall, name: Name) -> None:
    if name.package is None:
        return
    package = call.engine.catalog.require(Package, name.path)
    if package.binding is not None:
        raise ApiError(400, messages.BINDING_NO_ACTIONS)


def _check_instances(call: ApiCall, body: puts.Put) -> None:
    """Refuse more instances than the namespace may have in flight."""
    given = (body.body.get("limits") or {}).get("instances")
    allowed = call.engine.throttle.limits(call.identity.namespace).concurrent
    if given is not None and given > allowed:
        raise ApiError(400, messages.instances_above(allowed))


def _exec(put_: puts.ExecPut) -> Exec:
    return Exec(
        kind=put_.kind,
        binary=put_.binary,
        main=put_.main,
        image=put_.image,
        attached=put_.code is not None,
        components=tuple(f"/{component.doc}" for component in put_.components),
    )


def _created(call: ApiCall, name: Name, body: puts.Put, put_: puts.ExecPut | None) -> Action:
    if put_ is None:
        raise ApiError(400, messages.EXEC_UNDEFINED)
    exec_ = _exec(put_)
    return Action(
        path=name.path,
        name=name.entity,
        version=body.version or "0.0.1",
        updated=call.engine.catalog.stamp(),
        publish=body.publish or False,
        annotations=_annotations((), body, exec_.kind),
        parameters=_parameters(exec_, body.parameters or ()),
        exec=exec_,
        limits={},
        revision=call.engine.catalog.new_revision(),
    )


def _updated(call: ApiCall, current: Action, body: puts.Put, put_: puts.ExecPut | None) -> Action:
    exec_ = current.exec if put_ is None else _exec(put_)
    own = () if current.exec.is_sequence != exec_.is_sequence else current.parameters
    return replace(
        current,
        version=body.version or puts.next_version(current.version),
        updated=call.engine.catalog.stamp(),
        publish=current.publish if body.publish is None else body.publish,
        annotations=_annotations(current.annotations, body, exec_.kind),
        parameters=_parameters(exec_, own if body.parameters is None else body.parameters),
        exec=exec_,
        revision=call.engine.catalog.new_revision(),
    )


def _annotations(current: KeyValues, body: puts.Put, kind: str) -> KeyValues:
    """Annotations of actions merge; `exec` always is the kind, and the key is provided only on request."""
    removed = body.body.get("delAnnotations") or ()
    kept = [pair for pair in current if pair["key"] not in removed]
    default = [{"key": PROVIDE_KEY, "value": False}]
    return merged(default, kept, body.annotations or (), [{"key": "exec", "value": kind}])


def _parameters(exec_: Exec, given: KeyValues) -> KeyValues:
    if not exec_.is_sequence:
        return given
    actions: list[Any] = list(exec_.components)
    return ({"key": "_actions", "value": actions},)
