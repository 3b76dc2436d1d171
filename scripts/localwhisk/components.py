"""Checks sequences: before one is kept, that it can run; before one starts, that its caller may run what it is made of."""

from __future__ import annotations

from collections.abc import Sequence

from localwhisk import messages, names
from localwhisk.engine import Engine
from localwhisk.entities import Action
from localwhisk.errors import ApiError
from localwhisk.identity import Identity
from localwhisk.names import Name

_MISSING = 404


def check_components(engine: Engine, identity: Identity, action: Action) -> None:
    """Raise 403, 404 or 409 for a sequence with components its caller may not run; any other action passes."""
    engine.access.check_references(identity, of(action, identity.namespace))


def of(action: Action, own: str) -> list[Name]:
    """Components of a sequence; none of any other action."""
    return [names.qualified(reference, own) for reference in action.exec.components]


def check_sequence(engine: Engine, own: str, name: Name, components: Sequence[Name]) -> None:
    """Raise the 400 of the real server for a sequence that could not run."""
    limit = engine.limits.sequence_length
    if not components:
        raise ApiError(400, messages.SEQUENCE_EMPTY)
    if len(components) > limit or _count(engine, own, name, components) > limit:
        raise ApiError(400, messages.SEQUENCE_TOO_LONG)


def _count(engine: Engine, own: str, name: Name, components: Sequence[Name]) -> int:
    """Actions that are not sequences, nested ones included."""
    total = 0
    for component in components:
        if component.doc == name.doc:
            raise ApiError(400, messages.SEQUENCE_CYCLIC)
        total += _size(engine, own, name, component)
    return total


def _size(engine: Engine, own: str, name: Name, component: Name) -> int:
    try:
        action = engine.access.resolved(component).action
    except ApiError as error:
        if error.status == _MISSING:
            raise ApiError(400, messages.SEQUENCE_COMPONENT_MISSING) from None
        raise
    if action.doc == name.doc:
        raise ApiError(400, messages.SEQUENCE_CYCLIC)
    return _count(engine, own, name, of(action, own)) if action.exec.is_sequence else 1
