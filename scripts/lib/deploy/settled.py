"""What each place's inputs will hold: what was given, else what is bound there already.

wskdeploy replaces all parameters of what it deploys, by empty ones where a variable is not set. What is to be kept goes to it in a deployment
file, place by place: the same variable may have been bound to different values in two places.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib.deploy import mqtt_feed
from lib.deploy.environment import REFERENCE, filled
from lib.deploy.manifest import Place
from lib.deploy.namespace import Namespace, parameters


@dataclass(frozen=True)
class Settled:
    """A place with its values: `given` by manifest and variables, `kept` as bound, `secrets` that the feed's provider keeps unseen.

    `replaced` is what was bound where something else is given now.
    """

    place: Place
    given: Mapping[str, Any]
    kept: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    replaced: Mapping[str, Any] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, Any]:
        """All of them; a secret that is not seen shows as the feed shows it."""
        return {**dict.fromkeys(self.secrets, mqtt_feed.MASK), **self.kept, **self.given}

    def source(self, name: str) -> str:
        """Return how people set an input: the variable's name where it has one."""
        names = _references(self.place.inputs.get(name))
        return names[0] if names else f"input {name!r} of {self.place}"


@dataclass(frozen=True)
class Variables:
    """What variables hold: `exported` for this deployment, `local` for what runs on this machine; `reset` ones go back to their defaults."""

    exported: Mapping[str, str]
    local: Mapping[str, str] = field(default_factory=dict)
    reset: frozenset[str] = frozenset()

    @property
    def values(self) -> dict[str, str]:
        """All that have a value."""
        return {**self.local, **{name: value for name, value in self.exported.items() if value}}

    def fill(self, template: Any) -> Any:
        """Return an input's value, empty where its variables are."""
        return filled(template, self.values) if isinstance(template, str) else template

    def decide(self, template: Any) -> bool:
        """Tell whether the manifest or an exported variable says what an input holds, so that nothing bound is kept."""
        names = _references(template)
        return not names or any(self.exported.get(name) or name in self.reset for name in names)


def settle(place: Place, namespace: Namespace | None, variables: Variables) -> Settled:
    """Read what is bound at a place, and decide what it will hold; without a namespace nothing is bound."""
    bound: dict[str, Any] = {}
    secrets: tuple[str, ...] = ()
    if namespace is None:
        pass
    elif mqtt_feed.is_ours(place):
        bound, secrets = mqtt_feed.read(namespace, place, moves=bool(variables.exported.get("HORT_PROVIDER_URL")))
    else:
        bound = {name: value for name, value in parameters(namespace.of(place)).items() if name in place.inputs}
    chosen = {name for name, template in place.inputs.items() if variables.decide(template)}
    kept = {name: value for name, value in bound.items() if name not in chosen}
    given = {name: variables.fill(template) for name, template in place.inputs.items() if name not in kept}
    given = {name: value for name, value in given.items() if value not in (None, "")}
    replaced = {name: value for name, value in bound.items() if name in chosen and value != given.get(name)}
    return Settled(place, given, kept, tuple(name for name in secrets if name not in chosen), replaced)


def _references(template: Any) -> list[str]:
    found = REFERENCE.finditer(template) if isinstance(template, str) else ()
    return [match["braced"] or match["plain"] for match in found]


def kept_in_images(places: Iterable[Place], namespace: Namespace, variables: Variables) -> dict[str, str]:
    """Return what a variable in the name of a blackbox image held when that was deployed, whatever the image's tag."""
    found = {}
    for place in places:
        match = REFERENCE.search(place.image)
        if match is None or variables.decide(place.image):
            continue
        before, after = place.image[: match.start()], place.image[match.end() :].rpartition(":")[0]
        image = str(((namespace.of(place) or {}).get("exec") or {}).get("image") or "").rpartition(":")[0]
        if image.startswith(before) and image.endswith(after):
            found[match["braced"] or match["plain"]] = image[len(before) : len(image) - len(after)]
    return {name: value for name, value in found.items() if value}


def deployment(found: Iterable[Settled], feeds: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return wskdeploy's deployment file, and the variables it refers to: what is kept, and the `feeds` of triggers by their names.

    Texts ride in variables: in the file wskdeploy would look for variables in them, and secrets would lie on a disk.
    """
    packages: dict[str, Any] = {}
    values: dict[str, str] = {}
    for settled in found:
        inputs: dict[str, Any] = {"keep": list(settled.secrets)} if settled.secrets else {}
        for name, value in settled.kept.items():
            if isinstance(value, str | dict):
                variable = f"HORT_KEPT_{len(values)}_{name.upper()}"
                values[variable] = value if isinstance(value, str) else json.dumps(value)
                inputs[name] = f"${variable}"
            else:
                inputs[name] = value
        place = settled.place
        package = packages.setdefault(place.package, {})
        entity = package if place.kind == "package" else package.setdefault(f"{place.kind}s", {}).setdefault(place.name, {})
        entity |= {"inputs": inputs} if inputs else {}
        entity |= {"annotations": {"feed": feeds[place.name]}} if place.kind == "trigger" and place.name in feeds else {}
    return {"project": {"packages": packages}}, values
