"""Rules: list, read, create, update, delete, switch on and off. The state of a rule stands in its trigger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from localwhisk import jsonio, messages, names, puts
from localwhisk.access import require_owner
from localwhisk.api import ApiCall, Page
from localwhisk.api_actions import check_payload_size
from localwhisk.entities import Rule, Trigger, TriggerRule
from localwhisk.errors import ApiError, malformed
from localwhisk.http import Response, json_value, text
from localwhisk.names import Name

COLLECTION = Rule.COLLECTION
_STATES = {"active": True, "inactive": False}
_MISSING = 404


async def list_all(call: ApiCall) -> Response:
    """GET rules; the items carry no status."""
    require_owner(call.identity, call.namespace)
    page = Page.read(call.request, COLLECTION, call.engine.limits)
    found = call.engine.catalog.of_kind(Rule, lambda rule: rule.path == call.namespace)
    return page.answer(found, COLLECTION, Rule.summary)


async def get(call: ApiCall) -> Response:
    """GET rules/<name>."""
    require_owner(call.identity, call.namespace, _doc(call))
    rule = call.engine.catalog.require(Rule, _doc(call))
    return json_value(rule.document(active=_is_active(call, rule)))


async def put(call: ApiCall) -> Response:
    """PUT rules/<name>: a new rule is active, an updated one keeps its state."""
    require_owner(call.identity, call.namespace, _doc(call))
    body = await puts.read(call.request, call.identity.namespace, call.engine.limits)
    overwrite = call.request.flag("overwrite")
    trigger, action = (_reference(call, body.body.get(end)) for end in ("trigger", "action"))
    header = puts.Header.of(body)
    _check_accessible(call, trigger, action)
    current = call.engine.catalog.find(Rule, _doc(call))
    if current is not None and not overwrite:
        raise ApiError(409, messages.CONFLICT_EXISTS)
    ends = _ends(call, trigger, action, current)
    active = True if current is None else _is_active(call, current)
    rule = _created(call, body, header, ends) if current is None else _updated(call, current, body, header, ends)
    await call.engine.catalog.save(rule, *_relinked(call, current, rule, active=active))
    return json_value(rule.document(active=active))


async def delete(call: ApiCall) -> Response:
    """DELETE rules/<name>; the answer shows it inactive."""
    require_owner(call.identity, call.namespace, _doc(call))
    rule = call.engine.catalog.require(Rule, _doc(call))
    trigger = _trigger(call, rule)
    changed = () if trigger is None else (_without(trigger, rule),)
    await call.engine.catalog.remove(rule, also_save=changed)
    return json_value(rule.document(active=False))


async def switch(call: ApiCall) -> Response:
    """POST rules/<name> {"status": "active"|"inactive"}."""
    require_owner(call.identity, call.namespace, _doc(call))
    await check_payload_size(call)
    active = _STATES[_status(jsonio.parse_body(await call.request.json_body()))]
    rule = call.engine.catalog.require(Rule, _doc(call))
    trigger = _trigger(call, rule)
    if trigger is None and active:
        raise ApiError(404, messages.RULE_TRIGGER_MISSING)
    if trigger is not None and _is_active(call, rule) != active:
        await call.engine.catalog.save(_with(trigger, rule, active=active))
    return text("OK")


def _status(body: Any) -> str:
    """The state asked for; raises 400."""
    if not isinstance(body, dict):
        raise malformed(_no_match(body))
    if "status" not in body:
        raise malformed(messages.key_not_found("status"))
    status = body["status"]
    if not isinstance(status, str):
        raise malformed(_no_match(status))
    if not status.strip():
        raise malformed(messages.ARGUMENT_UNDEFINED)
    if status.strip() not in _STATES:
        raise malformed(messages.rule_state_unknown(status.strip()))
    return status.strip()




def _no_match(value: Any) -> str:
    return messages.no_match(jsonio.dumps(value).decode(), jsonio.spray_class(value))


def _doc(call: ApiCall) -> str:
    return f"{call.namespace}/{call.rest[0]}"


def _trigger(call: ApiCall, rule: Rule) -> Trigger | None:
    found = call.engine.catalog.get("/".join(rule.trigger))
    return found if isinstance(found, Trigger) else None


def _is_active(call: ApiCall, rule: Rule) -> bool:
    trigger = _trigger(call, rule)
    state = None if trigger is None else (trigger.rules or {}).get(rule.doc)
    return state is not None and state.active


def _reference(call: ApiCall, value: Any) -> Name | None:
    return None if value is None else names.qualified(value, call.namespace)


def _check_accessible(call: ApiCall, trigger: Name | None, action: Name | None) -> None:
    call.engine.access.check_references(
        call.identity, [action] if action else (), triggers=[trigger] if trigger else ()
    )


def _ends(
    call: ApiCall, trigger: Name | None, action: Name | None, current: Rule | None
) -> tuple[Name, Name]:
    """Trigger and action of a rule, as given or as they were; both must exist."""
    if current is not None:
        trigger = trigger or _kept(call, current.trigger)
        action = action or _kept(call, current.action)
    if trigger is None or action is None:
        raise ApiError(400, messages.RULE_INCOMPLETE)
    _check_exists("trigger", trigger, partial(call.engine.catalog.require, Trigger, trigger.doc))
    _check_exists("action", action, partial(call.engine.access.resolved, action))
    return trigger, action


def _kept(call: ApiCall, end: tuple[str, str]) -> Name:
    return names.qualified({"path": end[0], "name": end[1]}, call.namespace)


def _check_exists(what: str, name: Name, look_up: Callable[[], object]) -> None:
    try:
        look_up()
    except ApiError as error:
        text = messages.rule_entity_missing(what, name.doc) if error.status == _MISSING else error.text
        raise ApiError(400, text) from None


def _created(call: ApiCall, body: puts.Put, header: puts.Header, ends: tuple[Name, Name]) -> Rule:
    trigger, action = ends
    return Rule(
        path=call.namespace,
        name=call.rest[0],
        version=header.version or "0.0.1",
        updated=call.engine.catalog.stamp(),
        publish=header.publish or False,
        annotations=body.annotations or (),
        trigger=(trigger.path, trigger.entity),
        action=(action.path, action.entity),
    )


def _updated(
    call: ApiCall, current: Rule, body: puts.Put, header: puts.Header, ends: tuple[Name, Name]
) -> Rule:
    trigger, action = ends
    return replace(
        current,
        version=header.version or puts.next_version(current.version),
        updated=call.engine.catalog.stamp(),
        publish=current.publish if header.publish is None else header.publish,
        annotations=current.annotations if body.annotations is None else body.annotations,
        trigger=(trigger.path, trigger.entity),
        action=(action.path, action.entity),
    )


def _relinked(call: ApiCall, before: Rule | None, rule: Rule, *, active: bool) -> list[Trigger]:
    """Triggers changed by a rule: the one it has now, and the one it had."""
    changed = []
    if before is not None and before.trigger != rule.trigger:
        old = _trigger(call, before)
        changed += [] if old is None else [_without(old, before)]
    new = _trigger(call, rule)
    changed += [] if new is None else [_with(new, rule, active=active)]
    return changed


def _with(trigger: Trigger, rule: Rule, *, active: bool) -> Trigger:
    others = {name: state for name, state in (trigger.rules or {}).items() if name != rule.doc}
    return replace(trigger, rules={**others, rule.doc: TriggerRule(action=rule.action, active=active)})


def _without(trigger: Trigger, rule: Rule) -> Trigger:
    return replace(
        trigger, rules={name: state for name, state in (trigger.rules or {}).items() if name != rule.doc}
    )
