"""Names of namespaces, packages and entities, and how references to them are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localwhisk import messages
from localwhisk.errors import ApiError, malformed, rejected

DEFAULT_PACKAGE = "default"
OWN_NAMESPACE = "_"
_NAME = re.compile(r"(?:[A-Za-z0-9_]|[A-Za-z0-9_][A-Za-z0-9_@ .&\-]*[A-Za-z0-9_@.&\-])\Z")
MAX_NAME = 256
_MOST_PARTS = 3  # namespace, package, name


@dataclass(frozen=True, slots=True)
class Name:
    """'guest/pkg/action', 'guest/action' or 'guest/trigger' taken apart."""

    namespace: str
    package: str | None
    entity: str

    @property
    def path(self) -> str:
        """What stands before the entity's own name."""
        return self.namespace if self.package is None else f"{self.namespace}/{self.package}"

    @property
    def doc(self) -> str:
        """Key in the catalog, unique over all collections of a namespace."""
        return f"{self.path}/{self.entity}"


def is_name(text: str) -> bool:
    """Whether `text` may name an entity."""
    return len(text) <= MAX_NAME and _NAME.match(text) is not None


def entity_name(text: str) -> str:
    """Check a name in a path; raises the 400 of the real server."""
    if len(text) > MAX_NAME:
        raise rejected(400, messages.name_too_long(messages.NAME_SEGMENT, len(text), MAX_NAME))
    if not _NAME.match(text):
        raise rejected(400, messages.NAME_ILLEGAL)
    return text


def namespace_name(text: str) -> str:
    """Check a namespace in a path."""
    if len(text) > MAX_NAME:
        raise rejected(400, messages.name_too_long(messages.NAMESPACE_SEGMENT, len(text), MAX_NAME))
    if not is_name(text):
        raise rejected(400, messages.NAMESPACE_ILLEGAL)
    return text


def path_parts(text: str) -> list[str]:
    """The parts of 'a/b/c', slashes too many left out; raises ValueError in the server's words."""
    parts = [part for part in text.split("/") if part]
    if not parts:
        raise ValueError(messages.PATH_UNDEFINED)
    if not all(is_name(part) for part in parts):
        raise ValueError(messages.path_invalid(parts))
    return parts


def qualified(reference: object, own: str) -> Name:
    """Read 'ns/[pkg/]name' (or {path, name}) as rules and sequences give it; '_' is `own`."""
    if isinstance(reference, dict):
        return _of_members(reference, own)
    if not isinstance(reference, str):
        raise malformed(messages.FQN_MALFORMED)
    try:
        parts = path_parts(reference)
    except ValueError as error:
        raise malformed(str(error)) from None
    if len(parts) == 1:
        raise malformed(messages.FQN_INCOMPLETE)
    return of_parts(parts, own)


def of_parts(parts: Sequence[str], own: str) -> Name:
    """Name of a path of two parts or more; '_' is `own`."""
    namespace = own if parts[0] == OWN_NAMESPACE else parts[0]
    return Name(namespace, "/".join(parts[1:-1]) or None, parts[-1])


def of_composition(reference: object, own: str) -> Name | None:
    """Read the action a conductor names: 'name', 'pkg/name' or a whole path; None for what is no name."""
    try:
        parts = path_parts(reference) if isinstance(reference, str) else []
    except ValueError:
        return None
    whole = str(reference).startswith("/")
    if not parts or len(parts) > _MOST_PARTS or (whole and len(parts) == 1):
        return None
    return of_parts(parts if whole or len(parts) == _MOST_PARTS else [own, *parts], own)


def _of_members(reference: Mapping[str, Any], own: str) -> Name:
    path, name = reference.get("path"), reference.get("name")
    if not isinstance(path, str) or not isinstance(name, str) or not is_name(name):
        raise malformed(messages.FQN_MALFORMED)
    try:
        return of_parts([*path_parts(path), name], own)
    except ValueError:
        raise malformed(messages.FQN_MALFORMED) from None


def feed_is_valid(value: object) -> bool:
    """Whether a `feed` annotation could name an action."""
    try:
        return isinstance(value, str) and bool(path_parts(value))
    except ValueError:
        return False


def package_allowed(name: str) -> str:
    """Refuse the reserved package."""
    if name == DEFAULT_PACKAGE:
        raise ApiError(400, messages.package_reserved(name))
    return name
