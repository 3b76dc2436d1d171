"""Command line: `whisk serve` runs the engine, the other commands look after it."""

from __future__ import annotations

import argparse
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from localwhisk import settings
from localwhisk.lines import Formatter

_EXAMPLES = """examples:
  whisk serve --wskprops ~/.wskprops      serve on port 3233 and point wsk and wskdeploy there
  whisk status                            is it up, where, and what does it hold
  whisk logs -f                           activations and what they print, as they end
  whisk reset --stop --yes                begin anew

The page for browsers is at the address `serve` prints."""

Run = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    run: Run = options.run
    return run(options)


def _serve(options: argparse.Namespace) -> int:
    _log()
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of each request that is not HTTP: anybody could fill the disk
    try:
        chosen = settings.from_arguments(options)
    except ValueError as error:
        sys.stderr.write(f"whisk serve: error: {error}\n")
        return 2
    os.environ.pop(settings.IDENTITY, None)  # what the engine starts has no use for keys
    if settings.shows_keys(options):
        logging.getLogger("localwhisk").warning("the process list shows a key: --identity takes NAME=@FILE")
    from localwhisk import server  # --help answers without loading the server

    try:
        server.run(chosen)
    except sqlite3.Error as error:
        sys.stderr.write(f"whisk: the database in {chosen.state}: {error}\n")
        return 1
    except (OSError, ValueError) as error:
        sys.stderr.write(f"whisk: {error}\n")
        return 1
    return 0


def _log() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _status(options: argparse.Namespace) -> int:
    from localwhisk.cli import status

    return status.run(options)


def _logs(options: argparse.Namespace) -> int:
    from localwhisk.cli import logs

    return logs.run(options)


def _stop(options: argparse.Namespace) -> int:
    from localwhisk.cli import stop

    return stop.run(options)


def _reset(options: argparse.Namespace) -> int:
    from localwhisk.cli import stop

    return stop.reset(options)


def _key(options: argparse.Namespace) -> int:
    from localwhisk.cli import key

    return key.run(options)


def _wskprops(options: argparse.Namespace) -> int:
    from localwhisk.cli import properties

    return properties.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="whisk",
        description="A small Apache OpenWhisk for one machine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    settings.add_arguments(_command(commands, "serve", _serve, "run the engine"))
    status = _command(commands, "status", _status, "say whether it runs, where, and what it holds")
    _reach(status)
    status.add_argument("--json", action="store_true", help="as JSON")
    _add_logs(commands)
    _state(_command(commands, "stop", _stop, "end the engine in order"))
    reset = _command(commands, "reset", _reset, "delete all entities and activations")
    _state(reset)
    reset.add_argument("--yes", action="store_true", help="do not ask")
    reset.add_argument("--stop", action="store_true", help="stop a running engine first")
    properties = _command(commands, "wskprops", _wskprops, "print or write the .wskprops of wsk and wskdeploy")
    _reach(properties)
    properties.add_argument("file", nargs="?", type=Path, help="file to write (default: print it)")
    key = _command(commands, "key", _key, "draw a key for a namespace: serve --identity guest=@FILE")
    key.add_argument("file", nargs="?", type=Path, help="file to make, for its owner's eyes only (default: print it)")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: Run, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(run=run)
    return command


def _add_logs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    logs = _command(commands, "logs", _logs, "print activations with their logs, in the order they ended")
    _state(logs)
    logs.add_argument("-f", "--follow", action="store_true", help="go on as they end")
    logs.add_argument(
        "-n", "--last", type=int, default=20, metavar="N", help="begin with the last N (default: %(default)s)"
    )
    logs.add_argument("action", nargs="?", help="only those of an action or trigger: name or package/name")


def _state(parser: argparse.ArgumentParser) -> None:
    settings.add_state(parser)


def _reach(parser: argparse.ArgumentParser) -> None:
    """Options that say which engine, and as whom."""
    _state(parser)
    parser.add_argument("--apihost", help="address of an engine, instead of the one over the state folder")
    parser.add_argument(
        "--auth",
        metavar="@FILE",
        help=f"file with the key, or UUID:KEY, which the process list shows (default: ${settings.AUTH}, else that of guest)",
    )


if __name__ == "__main__":
    sys.exit(main())
