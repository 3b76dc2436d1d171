"""`images build`: the base, then each image from the one before it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lib.images import base
from lib.images.engines import Engine
from lib.images.table import RECIPES, Recipe

ROOT = Path(__file__).resolve().parents[3]


def build(engine: Engine, names: Sequence[str], *, cache: Path, arguments: Sequence[str]) -> None:
    """Builds the named images, or all; what is there and unchanged comes from the engine's cache of layers."""
    print(f"building with {engine.name}", flush=True)
    name, origin = base.ensure(engine)
    print(f"{'base':<10} {name} {origin}", flush=True)
    for recipe in RECIPES:
        if names and recipe.name not in names:
            continue
        started = time.monotonic()
        file = ROOT / "docker" / recipe.name / "Dockerfile"
        values = [f"BASE={name}", *arguments] if "ARG BASE=" in file.read_text(encoding="utf-8") else arguments
        with _context(recipe, cache) as context:
            if recipe.dev:
                engine.build(recipe.dev_image, file=file, target="dev", context=context, arguments=values)
            target = "runtime" if recipe.dev else None
            engine.build(recipe.image, file=file, target=target, context=context, arguments=values)
        print(f"{recipe.name:<10} {recipe.image} built in {time.monotonic() - started:.0f} s", flush=True)


@contextmanager
def _context(recipe: Recipe, cache: Path) -> Iterator[Path]:
    """The folder that the build sees; OpenALPR's gets the source that is in the cache, so that it is not downloaded again."""
    if recipe.context == "repository":
        yield ROOT
        return
    folder = ROOT / "docker" / recipe.name
    source = cache / "sources/openalpr.tgz"
    if recipe.name != "openalpr" or not source.is_file():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="hort-context-") as temporary:
        context = Path(temporary) / recipe.name
        shutil.copytree(folder, context)
        shutil.copy2(source, context)
        yield context
