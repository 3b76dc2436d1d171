"""Fires a trigger: starts the actions of its active rules and writes the trigger's record.

The real server writes the record after answering; here it and the beginnings of all its activations are
durable when `fire` returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localwhisk import jsonio, messages, payloads
from localwhisk.activations import Activation, new_id
from localwhisk.components import check_components
from localwhisk.engine import Engine
from localwhisk.entities import Trigger, TriggerRule
from localwhisk.errors import ApiError
from localwhisk.identity import Identity
from localwhisk.invoker import Call
from localwhisk.names import Name
from localwhisk.payloads import Payload

HEADERS_KEY = "__ow_headers"
_SUCCESS, _REFUSED, _FAILED = 0, 1, 3
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """One fire; `headers` are those of the request, which rule-fired actions get to see."""

    identity: Identity
    trigger: Trigger
    payload: Payload
    transaction_id: str
    headers: Mapping[str, str] | None = None


async def fire(engine: Engine, fire_: Fire) -> str | None:
    """Start the actions; the id of the trigger's record, None when no rule is active."""
    rules = fire_.trigger.rules or {}
    if not any(rule.active for rule in rules.values()):
        return None
    start = engine.clock()
    arguments = _arguments(fire_)
    logs = [
        jsonio.dumps(_activate(engine, fire_, name, rule, arguments)).decode() for name, rule in rules.items()
    ]
    record = _record(fire_, start, logs)
    await engine.invoker.keep(record)
    return record.id


def _arguments(fire_: Fire) -> Payload:
    """Trigger's parameters < headers < payload."""
    defaults = payloads.arguments(fire_.trigger.parameters)
    if fire_.headers is not None:
        defaults[HEADERS_KEY] = dict(fire_.headers)
    return payloads.with_defaults(defaults, fire_.payload)


def _activate(
    engine: Engine, fire_: Fire, name: str, rule: TriggerRule, arguments: Payload
) -> dict[str, Any]:
    """Start one rule's action; the line of the record that tells how it went."""
    action = "/".join(rule.action)
    if not rule.active:
        return _line(name, action, error=messages.rule_inactive(name, action))
    try:
        activation_id = _start(engine, fire_, rule, arguments)
    except ApiError as error:
        code = _FAILED if error.status >= _SERVER_ERROR else _REFUSED
        return _line(name, action, error=error.text, code=code)
    return {
        "statusCode": _SUCCESS,
        "success": True,
        "activationId": activation_id,
        "rule": name,
        "action": action,
    }


def _start(engine: Engine, fire_: Fire, rule: TriggerRule, arguments: Payload) -> str:
    """Start a rule's action as its owner would; raises what the API would answer."""
    engine.throttle.check_invocation(fire_.identity.namespace)
    limit = engine.limits.payload
    if len(arguments.raw) > limit:
        raise ApiError(413, messages.request_larger(len(arguments.raw), limit))
    resolved = engine.access.action(fire_.identity, _name(rule))
    check_components(engine, fire_.identity, resolved.action)
    resolved.check_arguments(arguments.value)
    call = Call(
        identity=fire_.identity,
        resolved=resolved,
        payload=arguments,
        transaction_id=fire_.transaction_id,
    )
    engine.invoker.start(call)
    return call.activation_id


def _line(rule: str, action: str, *, error: str, code: int = _REFUSED) -> dict[str, Any]:
    return {"statusCode": code, "success": False, "rule": rule, "error": error, "action": action}


def _name(rule: TriggerRule) -> Name:
    path, entity = rule.action
    namespace, _, package = path.partition("/")
    return Name(namespace, package or None, entity)


def _record(fire_: Fire, start: int, logs: list[str]) -> Activation:
    return Activation(
        id=new_id(),
        namespace=fire_.identity.namespace,
        subject=fire_.identity.namespace,
        name=fire_.trigger.name,
        version=fire_.trigger.version,
        start=start,
        status="success",
        result=fire_.payload.value,
        logs=logs,
    )
