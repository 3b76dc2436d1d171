"""Entities to and from the JSON kept in the store."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from localwhisk import jsonio
from localwhisk.entities import Action, AnyEntity, Exec, Package, Rule, Trigger, TriggerRule

_TYPES: dict[str, type[AnyEntity]] = {
    Action.COLLECTION: Action,
    Package.COLLECTION: Package,
    Trigger.COLLECTION: Trigger,
    Rule.COLLECTION: Rule,
}


def encode(entity: AnyEntity) -> bytes:
    """JSON of an entity, code left out."""
    return jsonio.dumps({name.name: _plain(getattr(entity, name.name)) for name in fields(entity)})


def decode(collection: str, raw: bytes) -> AnyEntity:
    """Entity of its JSON."""
    values: dict[str, Any] = jsonio.loads(raw)
    for name in ("annotations", "parameters", "trigger", "action", "binding"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    if "exec" in values:
        values["exec"] = Exec(**{**values["exec"], "components": tuple(values["exec"]["components"])})
    if values.get("rules") is not None:
        values["rules"] = {
            name: TriggerRule(action=tuple(rule["action"]), active=rule["active"])
            for name, rule in values["rules"].items()
        }
    return _TYPES[collection](**values)


def _plain(value: Any) -> Any:
    if isinstance(value, (Exec, TriggerRule)):
        return {name.name: getattr(value, name.name) for name in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
