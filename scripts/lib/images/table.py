"""Which images there are, each made from the one before it."""

from __future__ import annotations

from dataclasses import dataclass

HUB = "docker.io/library/"
"""Where the base is pulled from; docker adds it by itself, podman and buildah would ask."""
BASE = "hort/base:bookworm"
"""The base as it is made here where it cannot be pulled."""
LIMIT_MB = 220


@dataclass(frozen=True)
class Recipe:
    """One image.

    Args:
        name: its folder under docker/.
        tag: its version.
        dev: whether its Dockerfile has a stage `dev`: what later images are compiled against, kept out of what runs.
        context: the folder the build sees: "image" its own, "repository" the top.
        reason: what it brings, for the table of sizes.
    """

    name: str
    tag: str
    dev: bool
    context: str
    reason: str

    @property
    def image(self) -> str:
        """Name and tag."""
        return f"hort/{self.name}:{self.tag}"

    @property
    def dev_image(self) -> str:
        """Name and tag of the stage that others are compiled against."""
        return f"hort/{self.name}-dev:{self.tag}"


RECIPES = (
    Recipe("opencv", "4.6.0", dev=True, context="image", reason="seven modules of OpenCV, JPEG and PNG"),
    Recipe("tesseract", "5.3.0", dev=True, context="image", reason="Tesseract without libarchive and libcurl, Leptonica"),
    Recipe("openalpr", "2.2.1", dev=False, context="image", reason="OpenALPR, its training data, our C interface"),
    Recipe("plates", "0.1.0", dev=False, context="repository", reason="Python, numpy, Pillow, httptools, the server"),
)
FINAL = RECIPES[-1]
