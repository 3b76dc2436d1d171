"""`scripts/gbfs serve`: a GBFS source on loopback, simulated or replayed."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path

from gbfs_server.documents import VERSIONS
from gbfs_server.recording import RecordingError
from gbfs_server.replay import Replay
from gbfs_server.server import Server
from gbfs_server.simulator import Simulator
from gbfs_server.source import Source
from lib.arguments import port

INFORMATION_NAME = "station_information.json"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="gbfs", description=__doc__)
    serve = top.add_subparsers(dest="command", required=True).add_parser(
        "serve", help="run the source until SIGTERM or Ctrl-C"
    )
    mode = serve.add_mutually_exclusive_group()
    mode.add_argument(
        "--simulate",
        type=_stations,
        metavar="N",
        default=300,
        help="a simulated city of N stations (default: 300)",
    )
    mode.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="a recording: one station_status document a line, gzip or not",
    )
    serve.add_argument(
        "--speed",
        type=_positive,
        default=60.0,
        metavar="X",
        help="X seconds of the city or recording pass in one (default: 60)",
    )
    serve.add_argument(
        "--ttl", type=_ttl, default=5, metavar="S", help="simulator: seconds between documents (default: 5)"
    )
    serve.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="simulator: another number, another city and day (default: 1)",
    )
    serve.add_argument("--loop", action="store_true", help="replay: begin anew at the end")
    serve.add_argument(
        "--station-information",
        type=Path,
        metavar="FILE",
        help=f"replay: names and capacities (default: {INFORMATION_NAME} beside the recording)",
    )
    serve.add_argument(
        "--version",
        choices=VERSIONS,
        default="2.3",
        help="GBFS version behind /gbfs.json (default: 2.3); /<version>/gbfs.json has each",
    )
    serve.add_argument(
        "--port", type=port, default=0, metavar="N", help="port on loopback (default: a free one)"
    )
    serve.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="file to write the address of gbfs.json to when ready"
    )
    return top


def main(argv: list[str] | None = None) -> int:
    """Serves until told to stop; 2 where the recording cannot be used."""
    options = parser().parse_args(argv)
    try:
        source = _source(options)
        server = Server(source, port=options.port, version=options.version)
    except (RecordingError, OSError) as error:
        print(f"gbfs: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    thread = threading.Thread(target=server.serve_forever, name="gbfs", daemon=True)
    thread.start()
    _ready(f"{server.address}/gbfs.json", options.ready_file)
    stop.wait()
    server.shutdown()
    server.server_close()
    print(f"served: {server.progress()}", flush=True)
    return 0


def _source(options: argparse.Namespace) -> Source:
    if options.replay is None:
        return Simulator(options.simulate, options.seed, options.ttl, options.speed, now=time.time)
    information = options.station_information
    if information is None and (beside := options.replay.parent / INFORMATION_NAME).is_file():
        information = beside
    return Replay(
        options.replay, options.speed, now=time.monotonic, loop=options.loop, information_path=information
    )


def _ready(url: str, file: Path | None) -> None:
    print(f"GBFS source ready: {url}", flush=True)
    if file is not None:
        temporary = file.with_name(f"{file.name}.{os.getpid()}")
        temporary.write_text(url + "\n")
        temporary.replace(file)


def _stations(text: str) -> int:
    return _whole(text, 1, 10_000)


def _ttl(text: str) -> int:
    return _whole(text, 1, 3600)


def _whole(text: str, low: int, high: int) -> int:
    value = int(text)
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"must be from {low} to {high}, got {value}")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 100000, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())
