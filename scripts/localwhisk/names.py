"""Names of namespaces, packages and entities, and how references to them are read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from localwhisk import messages
from localwhisk.errors import ApiError, malformed, rejected

DEFAULT_PACKAGE = "default"
OWN_NAMESPACE = "_"
_NAME = re.compile(r"(?:[A-Za-z0-9_]|[A-Za-z0-9_][A-Za-z0-9_@ .\-]*[A-Za-z0-9_@.\-])\Z")
MAX_NAME = 256


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
        raise rejected(400, messages.name_too_long(len(text), MAX_NAME))
    if not _NAME.match(text):
        raise rejected(400, messages.NAME_ILLEGAL)
    return text


def namespace_name(text: str) -> str:
    """Check a namespace in a path."""
    if not is_name(text):
        raise rejected(400, messages.NAMESPACE_ILLEGAL)
    return text


def qualified(reference: object, own: str) -> Name:
    """Read '/ns/[pkg/]name' (or {path, name}) as rules and sequences give it; '_' is `own`."""
    if isinstance(reference, dict):
        path, name = reference.get("path"), reference.get("name")
        reference = f"/{path}/{name}" if isinstance(path, str) and isinstance(name, str) else None
    if not isinstance(reference, str):
        raise malformed(messages.FQN_MALFORMED)
    parts = reference.split("/")
    if len(parts) not in (3, 4) or parts[0] or not all(is_name(part) for part in parts[1:]):
        raise malformed(messages.FQN_MALFORMED)
    namespace = own if parts[1] == OWN_NAMESPACE else parts[1]
    package = parts[2] if len(parts) == 4 else None  # '', namespace, package, name
    return Name(namespace, package, parts[-1])


def feed_is_valid(value: object) -> bool:
    """Whether a `feed` annotation could name an action."""
    return (
        isinstance(value, str) and bool(value) and all(is_name(part) for part in value.strip("/").split("/"))
    )


def package_allowed(name: str) -> str:
    """Refuse the reserved package."""
    if name == DEFAULT_PACKAGE:
        raise ApiError(400, messages.package_reserved(name))
    return name
