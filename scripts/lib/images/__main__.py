"""The command behind scripts/images."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from lib.images import building, pins, sizes, trial
from lib.images.engines import EngineError, builder, runner
from lib.images.table import RECIPES


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/images",
        description="The layered images of the plates action, by docker, buildah or podman, whichever is there.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build the images, the base by debootstrap where none can be pulled")
    build.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(r.name for r in RECIPES)} (default: all)")
    build.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="such as OPENALPR_SOURCE=upstream")
    test = commands.add_parser("test", help="run the last image as OpenWhisk does and check what it must be")
    test.add_argument("--photo", type=Path, help="a photo with a plate (default: the one beside the repository)")
    weigh = commands.add_parser("sizes", help="print what each image adds")
    weigh.add_argument("--json", action="store_true", help="as JSON")
    commands.add_parser("pin", help="write the digests that the tags of others' images have by now into docker/; asks a registry of images")
    options = parser.parse_args(argv)
    for name in getattr(options, "names", []):
        if name not in {recipe.name for recipe in RECIPES}:
            parser.error(f"unknown image {name!r}; there are {', '.join(r.name for r in RECIPES)}")
    return options


def main(argv: list[str]) -> int:
    """Does what is asked; returns the exit status."""
    options = _arguments(argv)
    try:
        if options.command == "build":
            building.build(builder(), options.names, cache=Path(os.environ["HORT_CACHE"]), arguments=options.build_arg)
        elif options.command == "test":
            trial.run(runner(), photo=options.photo)
        elif options.command == "pin":
            changed = pins.refresh(runner())
            print("\n".join(f"{tag} {digest}" for tag, digest in changed.items()) or "all digests are those of today")
        else:
            rows = sizes.measure(builder())
            print(json.dumps(rows, indent=1) if options.json else sizes.table(rows))
    except (EngineError, trial.Failed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
