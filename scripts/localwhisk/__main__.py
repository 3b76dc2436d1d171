"""Command line: `whisk serve` runs the engine."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from localwhisk import settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        chosen = settings.from_arguments(options)
    except ValueError as error:
        parser.error(str(error))
    from localwhisk import server  # --help answers without loading the server

    try:
        server.run(chosen)
    except OSError as error:
        sys.stderr.write(f"whisk: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="whisk", description="A small Apache OpenWhisk for one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the engine")
    settings.add_arguments(serve)
    return parser


if __name__ == "__main__":
    sys.exit(main())
