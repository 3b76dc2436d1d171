"""Actions, packages, triggers and rules: what is kept, and the JSON the API shows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from localwhisk.scala_order import ordered

KeyValues = tuple[Mapping[str, Any], ...]


def annotation(pairs: Sequence[Mapping[str, Any]], key: str, default: Any = None) -> Any:
    """Value of the annotation `key`."""
    for pair in pairs:
        if pair["key"] == key:
            return pair["value"]
    return default


def truthy(value: Any) -> bool:
    """Whether an annotation's value counts as set: true, a number not 0, a text not empty, any list or object."""
    return bool(value) or isinstance(value, (list, tuple, dict))


def merged(*layers: Sequence[Mapping[str, Any]]) -> KeyValues:
    """Key-value pairs of several layers, later ones winning, in the order of the server."""
    by_key: dict[str, Mapping[str, Any]] = {}
    for layer in layers:
        for pair in layer:
            by_key[pair["key"]] = pair
    return tuple(ordered(list(by_key.values())))


def _sorted(document: dict[str, Any]) -> dict[str, Any]:
    """Members in the order the server writes them."""
    return dict(sorted(document.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """What all kinds share; `path` is 'guest' or 'guest/package', `updated` epoch ms."""

    COLLECTION: ClassVar[str] = ""

    path: str
    name: str
    version: str
    updated: int
    publish: bool = False
    annotations: KeyValues = ()
    parameters: KeyValues = ()

    @property
    def doc(self) -> str:
        """Key in the catalog."""
        return f"{self.path}/{self.name}"

    @property
    def namespace(self) -> str:
        """First part of the path."""
        return self.path.split("/", 1)[0]

    def base(self) -> dict[str, Any]:
        """Members of every entity's JSON."""
        return {
            "annotations": self.annotations,
            "name": self.name,
            "namespace": self.path,
            "publish": self.publish,
            "updated": self.updated,
            "version": self.version,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """How an action runs; the code itself stays in the store. `attached` tells whether there is any."""

    kind: str
    binary: bool = False
    main: str | None = None
    image: str | None = None
    attached: bool = False
    components: tuple[str, ...] = ()

    @property
    def is_sequence(self) -> bool:
        """Whether other actions are run instead of code."""
        return self.kind == "sequence"

    def document(self, code: str | None) -> dict[str, Any]:
        """JSON form, with the code where given."""
        if self.is_sequence:
            return {"components": self.components, "kind": self.kind}
        document: dict[str, Any] = {"kind": self.kind}
        if self.image is not None:
            document["image"] = self.image
        if code is not None and self.attached:
            document["code"] = code
        document["binary"] = self.binary
        if self.main is not None:
            document["main"] = self.main
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Entity):
    """An action; `revision` changes at each update, so a warm process never runs old code."""

    COLLECTION: ClassVar[str] = "actions"

    exec: Exec
    limits: Mapping[str, int]
    revision: str

    def document(self, code: str | None, parameters: KeyValues | None = None) -> dict[str, Any]:
        """Full JSON; `parameters` replaces the own ones (merged with those of the package)."""
        shown = self.parameters if parameters is None else parameters
        return _sorted(
            {
                **self.base(),
                "exec": self.exec.document(code),
                "limits": self.limits,
                "parameters": shown,
            }
        )

    def summary(self) -> dict[str, Any]:
        """Item of a list."""
        return {**self.base(), "exec": {"binary": self.exec.binary}, "limits": self.limits}

    def digest(self) -> dict[str, Any]:
        """Item in a package's list of actions."""
        return {"annotations": self.annotations, "name": self.name, "version": self.version}


@dataclass(frozen=True, slots=True, kw_only=True)
class Package(Entity):
    """A package or, with `binding` (namespace, name), a binding."""

    COLLECTION: ClassVar[str] = "packages"

    binding: tuple[str, str] | None = None

    @property
    def binding_document(self) -> dict[str, str]:
        """The `binding` member, empty for a package."""
        if self.binding is None:
            return {}
        return {"name": self.binding[1], "namespace": self.binding[0]}

    def document(self, parameters: KeyValues | None = None) -> dict[str, Any]:
        """Full JSON."""
        shown = self.parameters if parameters is None else parameters
        return _sorted({**self.base(), "binding": self.binding_document, "parameters": shown})

    def summary(self) -> dict[str, Any]:
        """Item of a list."""
        return {**self.base(), "binding": self.binding_document or False}


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRule:
    """What a trigger knows of one of its rules; `action` is (path, name)."""

    action: tuple[str, str]
    active: bool

    def document(self) -> dict[str, Any]:
        """JSON form inside a trigger."""
        path, name = self.action
        return {"action": {"name": name, "path": path}, "status": "active" if self.active else "inactive"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger(Entity):
    """A trigger with the state of its rules by name 'guest/rule'; None until it had one."""

    COLLECTION: ClassVar[str] = "triggers"

    rules: Mapping[str, TriggerRule] | None = None

    def document(self) -> dict[str, Any]:
        """Full JSON."""
        document = {**self.base(), "limits": {}, "parameters": self.parameters}
        if self.rules is not None:
            document["rules"] = {name: rule.document() for name, rule in self.rules.items()}
        return _sorted(document)

    def summary(self) -> dict[str, Any]:
        """Item of a list."""
        return self.base()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Entity):
    """A rule; trigger and action as (path, name). Whether it is active stands in the trigger."""

    COLLECTION: ClassVar[str] = "rules"

    trigger: tuple[str, str]
    action: tuple[str, str]

    def summary(self) -> dict[str, Any]:
        """Item of a list, without the status."""
        return {
            **self.base(),
            "trigger": {"name": self.trigger[1], "path": self.trigger[0]},
            "action": {"name": self.action[1], "path": self.action[0]},
        }

    def document(self, *, active: bool) -> dict[str, Any]:
        """Full JSON."""
        return {**self.summary(), "status": "active" if active else "inactive"}


AnyEntity = Action | Package | Trigger | Rule
