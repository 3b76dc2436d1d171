"""The alarm package that triggers of a manifest name: is it there, which one takes its place, and how to get one.

Neither a stock OpenWhisk nor every hosted one has /whisk.system/alarms. Variable HORT_ALARMS_PACKAGE names another, which is deployed from
feeds/alarms where it is missing and lies in the key's own namespace.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from lib.deploy.manifest import Place
from lib.deploy.namespace import Namespace, annotation

STOCK = "/whisk.system/alarms"
VARIABLE = "HORT_ALARMS_PACKAGE"
_NAME = re.compile(r"/?(?:(?P<namespace>[^/\s]+)/)?(?P<package>[^/\s]+)/?")


@dataclass(frozen=True)
class Alarms:
    """A package with the feeds alarm, once and interval: `/namespace/package`."""

    namespace: str
    package: str

    def __str__(self) -> str:
        return f"/{self.namespace}/{self.package}"

    def feed(self, stock: str) -> str:
        """Return this package's feed in the place of the stock one's."""
        return f"{self}{stock.removeprefix(STOCK)}"


def wanted(places: Iterable[Place]) -> list[Place]:
    """Return the triggers whose feed is one of the stock package."""
    return [place for place in places if place.kind == "trigger" and place.feed.startswith(f"{STOCK}/")]


def chosen(triggers: Iterable[Place], namespace: Namespace, *, given: str) -> Alarms:
    """Return the package that is named, else the one that the deployed triggers use, else the stock one."""
    name = given or next((found for place in triggers if (found := _deployed(place, namespace))), STOCK)
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{VARIABLE} must be given as /namespace/package, got {name!r}")
    space = match["namespace"] or "_"
    return Alarms(namespace.owner if space == "_" else space, match["package"])


def feeds(triggers: Iterable[Place], package: Alarms) -> dict[str, str]:
    """Return the feed of each trigger in a package that takes the stock one's place; none where it is the stock one."""
    return {} if str(package) == STOCK else {place.name: package.feed(place.feed) for place in triggers}


def _deployed(place: Place, namespace: Namespace) -> str:
    feed = str(annotation(namespace.of(place), "feed") or "")
    kind = place.feed.removeprefix(STOCK)
    return feed.removesuffix(kind) if feed.startswith("/") and feed.endswith(kind) else ""


def usable(alarms: Alarms, namespace: Namespace) -> bool:
    """Tell whether the key may use the package's feed."""
    path = f"/api/v1/namespaces/{quote(alarms.namespace)}/actions/{quote(alarms.package)}/alarm?code=false"
    return namespace.call("GET", path)[0] == http.client.OK


def remedy(alarms: Alarms, *, owner: str) -> str:
    """Return what to do where the package is neither there nor to be made with this key."""
    return (
        f"this OpenWhisk has no {alarms} that the key of {owner!r} may use, so the windows' clock would not tick; "
        f"export {VARIABLE}=/{owner}/alarms, and it is deployed there from feeds/alarms "
        f"(or have it deployed with the key of {alarms.namespace!r}: ./scripts/deploy --manifest feeds/alarms/manifest.yaml)"
    )


def manifest(source: Path, folder: Path, package: str) -> Path:
    """Write feeds/alarms' manifest under a package name of the user's into a folder, beside a link to the built zips."""
    whole: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    packages = {package if name == "alarms" else name: value for name, value in whole["packages"].items()}
    for facts in packages.values():
        for action in facts["actions"].values():
            action["function"] = f"build/{Path(action['function']).name}"
    (folder / "build").symlink_to(source.parents[2] / "build")
    path = folder / "alarms.yaml"
    path.write_text(yaml.safe_dump({"packages": packages}, sort_keys=False), encoding="utf-8")
    return path
