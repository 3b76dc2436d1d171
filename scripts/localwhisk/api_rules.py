"""Rules: list, read, create, update, delete, switch on and off. The state of a rule stands in its trigger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from localwhisk import jsonio, messages, names, puts
from localwhisk.access import require_owner
from localwhisk.api import ApiCall, Page
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
    overwrite = call.request.flag("overwrite")
    body = await puts.read(call.request, call.engine.limits, first_field="trigger")
    current = call.engine.catalog.find(Rule, _doc(call))
    if current is not None and not overwrite:
        raise ApiError(409, messages.CONFLICT_EXISTS)
    trigger, action = _ends(call, body, current)
    active = True if current is None else _is_active(call, current)
    rule = (
        _created(call, body, trigger, action)
        if current is None
        else _updated(call, current, body, trigger, action)
    )
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
    body = jsonio.parse_object(await call.request.json_body(), messages.key_not_found("status"))
    status = body.get("status")
    if "status" not in body:
        raise malformed(messages.key_not_found("status"))
    if not isinstance(status, str) or status not in _STATES:
        raise malformed(f"{status} is not a recognized rule state")
    rule = call.engine.catalog.require(Rule, _doc(call))
    trigger = _trigger(call, rule)
    if trigger is None and _STATES[status]:
        raise ApiError(404, messages.RULE_TRIGGER_MISSING)
    if trigger is not None and _is_active(call, rule) != _STATES[status]:
        await call.engine.catalog.save(_with(trigger, rule, active=_STATES[status]))
    return text("OK")


def _doc(call: ApiCall) -> str:
    return f"{call.namespace}/{call.rest[0]}"


def _trigger(call: ApiCall, rule: Rule) -> Trigger | None:
    found = call.engine.catalog.get("/".join(rule.trigger))
    return found if isinstance(found, Trigger) else None


def _is_active(call: ApiCall, rule: Rule) -> bool:
    trigger = _trigger(call, rule)
    state = None if trigger is None else (trigger.rules or {}).get(rule.doc)
    return state is not None and state.active


def _ends(call: ApiCall, body: puts.Put, current: Rule | None) -> tuple[Name, Name]:
    """Trigger and action of a rule, from the body or as they were; both must exist."""
    trigger = _reference(call, body.body.get("trigger"), current.trigger if current else None)
    action = _reference(call, body.body.get("action"), current.action if current else None)
    if trigger is None or action is None:
        raise ApiError(400, messages.RULE_INCOMPLETE)
    require_owner(call.identity, trigger.namespace, trigger.doc)
    if call.engine.catalog.find(Trigger, trigger.doc) is None:
        raise ApiError(400, messages.rule_entity_missing("trigger", trigger.doc))
    try:
        call.engine.access.action(call.identity, action)
    except ApiError as error:
        if error.status == _MISSING:
            raise ApiError(400, messages.rule_entity_missing("action", action.doc)) from None
        raise
    return trigger, action


def _reference(call: ApiCall, value: Any, current: tuple[str, str] | None) -> Name | None:
    if value is not None:
        return names.qualified(value, call.identity.namespace)
    if current is None:
        return None
    return names.qualified({"path": current[0], "name": current[1]}, call.identity.namespace)


def _created(call: ApiCall, body: puts.Put, trigger: Name, action: Name) -> Rule:
    return Rule(
        path=call.namespace,
        name=call.rest[0],
        version=body.version or "0.0.1",
        updated=call.engine.catalog.stamp(),
        publish=body.publish or False,
        annotations=body.annotations or (),
        trigger=(trigger.path, trigger.entity),
        action=(action.path, action.entity),
    )


def _updated(call: ApiCall, current: Rule, body: puts.Put, trigger: Name, action: Name) -> Rule:
    return replace(
        current,
        version=body.version or puts.next_version(current.version),
        updated=call.engine.catalog.stamp(),
        publish=current.publish if body.publish is None else body.publish,
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
