"""Checks a sequence before it is kept: its components exist, do not come back to it, and are not too many."""

from __future__ import annotations

from collections.abc import Sequence

from localwhisk import messages, names
from localwhisk.engine import Engine
from localwhisk.errors import ApiError
from localwhisk.identity import Identity
from localwhisk.names import Name

_MISSING = 404


def check_sequence(engine: Engine, identity: Identity, name: Name, components: Sequence[Name]) -> None:
    """Raise the 400 of the real server for a sequence that could not run."""
    limit = engine.limits.sequence_length
    if not components:
        raise ApiError(400, messages.SEQUENCE_EMPTY)
    if len(components) > limit or _count(engine, identity, name, components) > limit:
        raise ApiError(400, messages.SEQUENCE_TOO_LONG)


def _count(engine: Engine, identity: Identity, name: Name, components: Sequence[Name]) -> int:
    """Actions that are not sequences, nested ones included."""
    total = 0
    for component in components:
        if component.doc == name.doc:
            raise ApiError(400, messages.SEQUENCE_CYCLIC)
        total += _size(engine, identity, name, component)
    return total


def _size(engine: Engine, identity: Identity, name: Name, component: Name) -> int:
    try:
        action = engine.access.action(identity, component).action
    except ApiError as error:
        if error.status == _MISSING:
            raise ApiError(400, messages.SEQUENCE_COMPONENT_MISSING) from None
        raise
    if action.doc == name.doc:
        raise ApiError(400, messages.SEQUENCE_CYCLIC)
    if not action.exec.is_sequence:
        return 1
    nested = [names.qualified(reference, identity.namespace) for reference in action.exec.components]
    return _count(engine, identity, name, nested)
