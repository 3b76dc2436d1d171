"""What a manifest deploys that takes inputs: its packages, actions and triggers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from lib.deploy.environment import filled

OWN_NAMESPACE = "_"


@dataclass(frozen=True)
class Place:
    """An entity with its inputs, values still as the manifest has them; `kind` is package, action or trigger."""

    kind: str
    package: str
    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    feed: str = ""
    image: str = ""

    @property
    def action(self) -> str:
        """The action's name with its package's."""
        return self.name if self.package == "default" else f"{self.package}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.action if self.kind == 'action' else self.name}"


def places(text: str, values: Mapping[str, str]) -> list[Place]:
    """Read a manifest; names in it get the variables' values. ValueError where it is no manifest."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"the manifest is no YAML: {str(error).splitlines()[0]}") from error
    top = _mapping(found)
    packages = _mapping(top.get("packages")) or _mapping(_mapping(top.get("project")).get("packages"))
    return [place for name, package in packages.items() for place in _of_package(filled(str(name), values), _mapping(package), values)]


def _of_package(package: str, whole: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Place]:
    yield Place("package", package, package, _inputs(whole))
    for kind in ("action", "trigger"):
        for name, entity in _mapping(whole.get(f"{kind}s")).items():
            facts = _mapping(entity)
            feed = filled(str(facts.get("feed") or ""), values)
            yield Place(kind, package, filled(str(name), values), _inputs(facts), feed, str(facts.get("docker") or ""))


def _inputs(entity: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs, each by its value, also where it is written with type, value and default."""
    return {str(name): _value(given) for name, given in _mapping(entity.get("inputs")).items()}


def _value(given: Any) -> Any:
    described = isinstance(given, dict) and "type" in given
    return given.get("value", given.get("default")) if described else given


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
