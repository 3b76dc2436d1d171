"""The images of others, pinned by digest where they are named: in the Dockerfiles and in compose.yaml."""

from __future__ import annotations

import re
from pathlib import Path

from lib.images.engines import Engine, EngineError
from lib.images.table import HUB

DOCKER = Path(__file__).resolve().parents[3] / "docker"
PINNED = re.compile(r"(?P<tag>[a-z-]+:[a-z0-9.-]+)@(?P<digest>sha256:[0-9a-f]{64})")


def files(folder: Path = DOCKER) -> list[Path]:
    """List the files that name images."""
    return [*sorted(folder.glob("*/Dockerfile")), folder / "compose.yaml"]


def base() -> str:
    """Return the image that ours begin with, as its Dockerfile pins it."""
    found = PINNED.search((DOCKER / "opencv/Dockerfile").read_text(encoding="utf-8"))
    if not found:
        raise EngineError("docker/opencv/Dockerfile names no base with a digest")
    return found[0]


def refresh(engine: Engine, *, folder: Path = DOCKER) -> dict[str, str]:
    """Write the digests that the tags have by now into the files; returns what changed, by tag."""
    digests: dict[str, str] = {}
    changed: dict[str, str] = {}

    def pinned(found: re.Match[str]) -> str:
        tag = found["tag"]
        if tag not in digests:
            digests[tag] = engine.digest(HUB + tag)
        if digests[tag] != found["digest"]:
            changed[tag] = digests[tag]
        return f"{tag}@{digests[tag]}"

    for path in files(folder):
        path.write_text(PINNED.sub(pinned, path.read_text(encoding="utf-8")), encoding="utf-8")
    return changed
