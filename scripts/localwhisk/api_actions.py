"""Actions: list, read, create, update, delete, invoke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from localwhisk import kinds, limit_puts, messages, payloads, puts
from localwhisk.access import require_owner
from localwhisk.activations import Activation
from localwhisk.api import ApiCall, Page
from localwhisk.components import check_components, check_sequence
from localwhisk.entities import Action, Exec, KeyValues, Package, merged
from localwhisk.errors import ApiError, rejected
from localwhisk.execs import ExecPut
from localwhisk.http import ACTIVATION_ID, Response, integer, json_bytes, json_value
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
    call.engine.access.check_package(call.identity, doc)
    provider = call.engine.access.package(doc).provider
    page = Page.read(call.request, COLLECTION, call.engine.limits)
    return page.answer(call.engine.catalog.actions_in(provider.doc), COLLECTION, Action.summary)


async def get(call: ApiCall) -> Response:
    """GET actions/[package/]name."""
    call.engine.access.check_action(call.identity, _name(call))
    wanted = call.request.flag("code", default=True)
    resolved = call.engine.access.resolved(_name(call))
    code = _code(call, resolved.action) if wanted else None
    return json_value(resolved.action.document(code, resolved.parameters))


async def put(call: ApiCall) -> Response:
    """PUT actions/[package/]name."""
    name = _name(call)
    require_owner(call.identity, call.namespace, name.doc)
    _check_package(call, name)
    asked = await _read(call)
    current = call.engine.catalog.find(Action, name.doc)
    if current is not None and not asked.overwrite:
        raise ApiError(409, messages.CONFLICT_EXISTS)
    _check_instances(call, asked.limits)
    exec_ = asked.body.exec
    if exec_ is not None and exec_.kind == kinds.SEQUENCE:
        check_sequence(call.engine, call.identity.namespace, name, exec_.components)
    action = _created(call, name, asked) if current is None else _updated(call, current, asked)
    code = exec_.code or "" if exec_ is not None else None
    await call.engine.catalog.save(action, code=code)
    if current is not None:
        call.engine.runtimes.forget(f"/{action.doc}")
    return json_value(action.document(_code(call, action) if code is None else code))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a PUT asks for: right in itself, and allowed."""

    body: puts.Put
    header: puts.Header
    limits: dict[str, int]
    removed: list[str]
    overwrite: bool


async def _read(call: ApiCall) -> _Asked:
    """Read a PUT in the order of the server; raises 400, 403, 404 and 413."""
    body = await puts.read(call.request, call.identity.namespace, call.engine.limits)
    overwrite = call.request.flag("overwrite")
    limits = limit_puts.read(body.body.get("limits"))
    header, removed = puts.Header.of(body), body.removed_annotations()
    limit_puts.check(limits, call.engine.limits)
    call.engine.access.check_references(call.identity, body.exec.components if body.exec else ())
    return _Asked(body=body, header=header, limits=limits, removed=removed, overwrite=overwrite)


async def delete(call: ApiCall) -> Response:
    """DELETE actions/[package/]name."""
    name = _name(call)
    require_owner(call.identity, call.namespace, name.doc)
    _check_package(call, name)
    action = call.engine.catalog.require(Action, name.doc)
    code = _code(call, action)
    await call.engine.catalog.remove(action)
    call.engine.runtimes.forget(f"/{action.doc}")
    return json_value(action.document(code))


async def invoke(call: ApiCall) -> Response:
    """POST actions/[package/]name: 200/502/500 with the record or result, or 202 with the activation's id."""
    call.engine.throttle.check_invocation(call.identity.namespace)
    call.engine.access.check_action(call.identity, _name(call))
    await check_payload_size(call)
    blocking, result = call.request.flag("blocking"), call.request.flag("result")
    wait_ms = _wait(call)
    payload = await read_payload(call)
    resolved = call.engine.access.resolved(_name(call))
    check_components(call.engine, call.identity, resolved.action)
    resolved.check_arguments(payload.value)
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


async def check_payload_size(call: ApiCall) -> None:
    """Raise 413 for a body that is larger than arguments may be."""
    await call.request.body(most=call.engine.limits.payload)


async def read_payload(call: ApiCall) -> Payload:
    """Arguments in the body."""
    return payloads.parse(await call.request.json_body())


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
    number = integer(value, bits=32)
    if number is None or not 0 < number <= limit:
        raise rejected(
            400, messages.query_malformed("timeout", messages.TIMEOUT_MALFORMED.format(limit=limit))
        )
    return number


def _name(call: ApiCall) -> Name:
    package = call.rest[0] if len(call.rest) > 1 else None
    return Name(call.namespace, package, call.rest[-1])


def _code(call: ApiCall, action: Action) -> str | None:
    return call.engine.catalog.code(action.doc) if action.exec.attached else None


def _check_package(call: ApiCall, name: Name) -> None:
    if name.package is None:
        return
    package = call.engine.catalog.require(Package, name.path)
    if package.binding is not None:
        raise ApiError(400, messages.BINDING_NO_ACTIONS)


def _check_instances(call: ApiCall, given: Mapping[str, int]) -> None:
    """Refuse more instances than the namespace may have in flight."""
    allowed = call.engine.throttle.limits(call.identity.namespace).concurrent
    if given.get(limit_puts.INSTANCES, 0) > allowed:
        raise ApiError(400, messages.instances_above(allowed))


def _exec(put_: ExecPut) -> Exec:
    return Exec(
        kind=put_.kind,
        binary=put_.binary,
        main=put_.main,
        image=put_.image,
        attached=put_.code is not None,
        components=tuple(f"/{component.doc}" for component in put_.components),
    )


def _created(call: ApiCall, name: Name, asked: _Asked) -> Action:
    if asked.body.exec is None:
        raise ApiError(400, messages.EXEC_UNDEFINED)
    exec_ = _exec(asked.body.exec)
    given = asked.body.annotations or ()
    has_key = any(pair["key"] == PROVIDE_KEY for pair in given)
    default = [] if has_key else [{"key": PROVIDE_KEY, "value": False}]
    return Action(
        path=name.path,
        name=name.entity,
        version=asked.header.version or "0.0.1",
        updated=call.engine.catalog.stamp(),
        publish=asked.header.publish or False,
        annotations=merged(given, default, _kind_annotation(exec_)),
        parameters=_parameters(exec_, asked.body.parameters or ()),
        exec=exec_,
        limits=limit_puts.chosen(asked.limits, None, call.engine.limits),
        revision=call.engine.catalog.new_revision(),
    )


def _updated(call: ApiCall, current: Action, asked: _Asked) -> Action:
    body, header = asked.body, asked.header
    exec_ = current.exec if body.exec is None else _exec(body.exec)
    own = () if current.exec.is_sequence != exec_.is_sequence else current.parameters
    kept = [pair for pair in current.annotations if pair["key"] not in asked.removed]
    return replace(
        current,
        version=header.version or puts.next_version(current.version),
        updated=call.engine.catalog.stamp(),
        publish=current.publish if header.publish is None else header.publish,
        annotations=merged(kept, body.annotations or (), _kind_annotation(exec_)),
        parameters=_parameters(exec_, own if body.parameters is None else body.parameters),
        exec=exec_,
        limits=limit_puts.chosen(asked.limits, current.limits, call.engine.limits),
        revision=call.engine.catalog.new_revision(),
    )


def _kind_annotation(exec_: Exec) -> KeyValues:
    """The annotation that lists show the kind by; what the client says of it does not count."""
    return ({"key": "exec", "value": exec_.kind},)


def _parameters(exec_: Exec, given: KeyValues) -> KeyValues:
    if not exec_.is_sequence:
        return given
    actions: list[Any] = list(exec_.components)
    return ({"key": "_actions", "value": actions},)
