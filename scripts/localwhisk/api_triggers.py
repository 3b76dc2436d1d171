"""Triggers: list, read, create, update, delete, fire."""

from __future__ import annotations

from dataclasses import replace

from localwhisk import messages, names, puts
from localwhisk.access import require_owner
from localwhisk.api import ApiCall, Page
from localwhisk.api_actions import check_payload_size, read_payload
from localwhisk.entities import Trigger, annotation
from localwhisk.errors import ApiError, malformed
from localwhisk.fires import Fire, fire
from localwhisk.http import ACTIVATION_ID, Response, json_value

COLLECTION = Trigger.COLLECTION
# Headers that describe the connection or the body, which the real server keeps apart from the others.
ENTITY_HEADERS = frozenset(("content-type", "content-length", "transfer-encoding"))


async def list_all(call: ApiCall) -> Response:
    """GET triggers."""
    require_owner(call.identity, call.namespace)
    page = Page.read(call.request, COLLECTION, call.engine.limits)
    found = call.engine.catalog.of_kind(Trigger, lambda trigger: trigger.path == call.namespace)
    return page.answer(found, COLLECTION, Trigger.summary)


async def get(call: ApiCall) -> Response:
    """GET triggers/<name>."""
    require_owner(call.identity, call.namespace, _doc(call))
    return json_value(call.engine.catalog.require(Trigger, _doc(call)).document())


async def put(call: ApiCall) -> Response:
    """PUT triggers/<name>: rules and their states stay."""
    require_owner(call.identity, call.namespace, _doc(call))
    body = await puts.read(call.request, call.identity.namespace, call.engine.limits)
    overwrite = call.request.flag("overwrite")
    _check_limits(body)
    header = puts.Header.of(body)
    current = call.engine.catalog.find(Trigger, _doc(call))
    if current is not None and not overwrite:
        raise ApiError(409, messages.CONFLICT_EXISTS)
    feed = annotation(body.annotations or (), "feed")
    if current is None and feed is not None and not names.feed_is_valid(feed):
        raise ApiError(400, messages.FEED_INVALID)
    trigger = _created(call, body, header) if current is None else _updated(call, current, body, header)
    await call.engine.catalog.save(trigger)
    return json_value(trigger.document())


async def delete(call: ApiCall) -> Response:
    """DELETE triggers/<name>: its rules stay and are inactive."""
    require_owner(call.identity, call.namespace, _doc(call))
    trigger = call.engine.catalog.require(Trigger, _doc(call))
    await call.engine.catalog.remove(trigger)
    return json_value(trigger.document())


async def fire_trigger(call: ApiCall) -> Response:
    """POST triggers/<name>: 202 with the record's id, or 204 when no rule is active."""
    call.engine.throttle.check_fire(call.identity.namespace)
    require_owner(call.identity, call.namespace, _doc(call))
    await check_payload_size(call)
    payload = await read_payload(call)
    trigger = call.engine.catalog.require(Trigger, _doc(call))
    headers = {name: value for name, value in call.request.headers if name not in ENTITY_HEADERS}
    activation_id = await fire(
        call.engine,
        Fire(
            identity=call.identity,
            trigger=trigger,
            payload=payload,
            transaction_id=call.request.transaction_id,
            headers=headers,
        ),
    )
    if activation_id is None:
        return Response(204)
    response = json_value({"activationId": activation_id}, 202)
    response.headers.append((ACTIVATION_ID, activation_id))
    return response


def _doc(call: ApiCall) -> str:
    return f"{call.namespace}/{call.rest[0]}"


def _check_limits(body: puts.Put) -> None:
    """Triggers have no limits, but an object may stand for them."""
    if not isinstance(body.body.get("limits") or {}, dict):
        raise malformed(messages.LIMITS_NO_OBJECT)


def _created(call: ApiCall, body: puts.Put, header: puts.Header) -> Trigger:
    return Trigger(
        path=call.namespace,
        name=call.rest[0],
        version=header.version or "0.0.1",
        updated=call.engine.catalog.stamp(),
        publish=header.publish or False,
        annotations=body.annotations or (),
        parameters=body.parameters or (),
    )


def _updated(call: ApiCall, current: Trigger, body: puts.Put, header: puts.Header) -> Trigger:
    return replace(
        current,
        version=header.version or puts.next_version(current.version),
        updated=call.engine.catalog.stamp(),
        publish=current.publish if header.publish is None else header.publish,
        annotations=current.annotations if body.annotations is None else body.annotations,
        parameters=current.parameters if body.parameters is None else body.parameters,
    )
