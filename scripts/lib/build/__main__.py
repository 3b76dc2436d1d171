"""The command behind scripts/build."""

import argparse
import hashlib
import json
import os
import platform
import sys
from pathlib import Path

from lib.build import archive, bytecode, vendor
from lib.build.lock import NotLocked
from lib.build.table import RECIPES, Recipe

LIMIT_BYTES = 36_000_000  # an action's code may be 48 MB, in base64
ROOT = Path(__file__).resolve().parents[3]


class BuildError(Exception):
    """A zip cannot be made."""


def contents(recipe: Recipe, *, root: Path, vendored: Path | None) -> dict[str, Path]:
    """List what goes into a zip by name: the action's own files at the root, packages, vendored packages."""
    source = root / recipe.source
    if not source.is_dir() and (root / recipe.source.replace("-", "_")).is_dir():
        source = root / recipe.source.replace("-", "_")
    if not (source / "__main__.py").is_file():
        raise BuildError(f"{recipe.source}/__main__.py is missing")
    packages = [archive.files_of(root / folder, under=f"{Path(folder).name}/") for folder in recipe.packages]
    return archive.merged(archive.files_of(source), *packages, archive.files_of(vendored) if vendored else {})


def build(name: str, *, root: Path, into: Path, cache: Path, machine: str) -> tuple[int, bool]:
    """Make one zip unless it is there already with the same content; returns its size in bytes and whether it was made."""
    recipe = RECIPES[name]
    vendored = vendor.tree(recipe.vendored, lock_file=ROOT / "requirements/actions.txt", cache=cache, machine=machine)
    files = contents(recipe, root=root, vendored=vendored)
    packages = archive.files_of(vendored) if vendored else {}
    files = bytecode.compiled(files, packages=packages, cache=cache)
    target, note = into / f"{name}.zip", into / f".{name}.json"
    digest = archive.content_digest(files)
    if _noted(note) == (digest, _sha256(target)):
        return target.stat().st_size, False
    archive.write(target, files)
    size = target.stat().st_size
    if size > LIMIT_BYTES:
        raise BuildError(f"{target.name} has {size / 1e6:.1f} MB; OpenWhisk takes {LIMIT_BYTES / 1e6:.0f} MB")
    note.write_text(json.dumps({"content": digest, "zip": _sha256(target)}), encoding="utf-8")
    return size, True


def _noted(note: Path) -> tuple[str, str] | None:
    try:
        values = json.loads(note.read_text(encoding="utf-8"))
        return values["content"], values["zip"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _sha256(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/build", description="Makes build/<name>.zip for each action, ready for the python:3.11 runtime.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(RECIPES)} (default: all)")
    parser.add_argument("--into", type=Path, default=ROOT / "build", help="where the zips go (default: build/ in the repository)")
    parser.add_argument("--machine", choices=vendor.MACHINES, default=platform.machine(), help="whose binaries are vendored (default: this machine's)")
    options = parser.parse_args(argv)
    for name in options.names:
        if name not in RECIPES:
            parser.error(f"unknown name {name!r}; there are {', '.join(RECIPES)}")
    return options


def main(argv: list[str]) -> int:
    """Make the zips and print a table of their sizes; returns the exit status."""
    options = _arguments(argv)
    cache = Path(os.environ["HORT_CACHE"])
    name = str(options.into)
    try:
        options.into.mkdir(parents=True, exist_ok=True)
        for name in options.names or RECIPES:
            size, made = build(name, root=ROOT, into=options.into, cache=cache, machine=options.machine)
            print(f"{name:<16} {size / 1e6:>6.2f} MB  {'made' if made else 'unchanged'}", flush=True)
    except (BuildError, NotLocked, archive.Conflict, bytecode.CompileError, vendor.VendorError, OSError) as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
