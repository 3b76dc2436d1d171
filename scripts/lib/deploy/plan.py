"""What will be deployed: each manifest with its variables and what is kept, checked as a whole before anything is changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lib.deploy import alarms, checks, environment, manifest
from lib.deploy.namespace import Namespace
from lib.deploy.settled import Settled, Variables, deployment, kept_in_images, settle

ALARMS = Path(__file__).resolve().parents[3] / "feeds/alarms/manifest.yaml"


class DeployError(Exception):
    """The deployment cannot begin; nothing was changed."""


@dataclass(frozen=True)
class Work:
    """One manifest, the variables it refers to, wskdeploy's deployment file, and what was kept, in words."""

    manifest: Path
    values: Mapping[str, str] = field(repr=False)
    deployment: Mapping[str, object] = field(default_factory=dict)
    kept: tuple[str, ...] = ()


def undeployment(path: Path, namespace: Namespace, variables: Variables) -> Work:
    """Plan a removal: nothing is kept, but the alarm feeds must be asked where they are."""
    places = manifest.places(path.read_text(encoding="utf-8"), variables.values)
    ticking = alarms.wanted(places)
    package = alarms.chosen(ticking, namespace, given=os.environ.get(alarms.VARIABLE, ""))
    return Work(path, variables.values, deployment([Settled(place, {}) for place in ticking], alarms.feeds(ticking, package))[0])


def plan(path: Path, namespace: Namespace, variables: Variables, *, folder: Path) -> list[Work]:
    """Plan a deployment, of the alarm package too where it is missing; `folder` is for manifests that are made for it.

    DeployError names everything that is missing or cannot be used.
    """
    places = manifest.places(path.read_text(encoding="utf-8"), variables.values)
    ticking = alarms.wanted(places)
    package = alarms.chosen(ticking, namespace, given=os.environ.get(alarms.VARIABLE, ""))
    before = [] if not ticking or alarms.usable(package, namespace) else [_clock(package, namespace, variables, folder)]
    found = [without_strange_source(settle(place, namespace, variables)) for place in places]
    misspelt = checks.misspelt(os.environ, environment.names_in(path.read_text(encoding="utf-8")))
    if problems := misspelt + checks.problems(found, variables.values):
        raise DeployError("\n  ".join(["these settings cannot be used, and nothing was changed:", *problems]))
    return [*before, _work(path, found, variables, kept_in_images(places, namespace, variables), alarms.feeds(ticking, package))]


def without_strange_source(settled: Settled) -> Settled:
    """Keep a bike share only with its broker: nothing is published to another one, which may be the user's own, unless it is named again."""
    if "mqtt_url" not in settled.replaced or "gbfs_url" not in settled.kept:
        return settled
    print(f"not kept: {settled.source('gbfs_url')}, whose stations would go to another broker than before; export it to have them there", flush=True)
    return replace(settled, kept={name: value for name, value in settled.kept.items() if name != "gbfs_url"})


def _clock(package: alarms.Alarms, namespace: Namespace, variables: Variables, folder: Path) -> Work:
    """The alarm feeds, under the name that was asked for, where the key may put them there."""
    if package.namespace != namespace.owner:
        raise DeployError(f"nothing was changed: {alarms.remedy(package, owner=namespace.owner)}")
    path = alarms.manifest(ALARMS, folder, package.package)
    places = manifest.places(path.read_text(encoding="utf-8"), variables.values)
    return _work(path, [settle(place, namespace, variables) for place in places], variables, {}, {})


def _work(path: Path, found: list[Settled], variables: Variables, images: Mapping[str, str], feeds: Mapping[str, str]) -> Work:
    file, values = deployment(found, feeds)
    kept = sorted({one.source(name) for one in found for name in [*one.kept, *one.secrets]} | set(images))
    return Work(path, {**variables.values, **images, **values}, file, tuple(kept))
