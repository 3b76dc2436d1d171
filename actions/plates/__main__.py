"""Starts the plates server: `python -m plates --port 8080`; SIGTERM lets the photo at hand finish."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from plates.action import Action
from plates.server import Server, Service
from plates.supervisor import Supervisor, WorkerMissing

STOP_S = 20.0


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="plates", description="Reads licence plates: OpenWhisk's /init and /run over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port, 0 for any free one (default: %(default)s)")
    parser.add_argument("--ready-file", type=Path, help="written with the server's URL once photos can be read")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Serves until a signal comes; returns the exit status."""
    options = _arguments(argv)
    supervisor = Supervisor()
    try:
        server = Server((options.host, options.port), Service(Action(supervisor), supervisor))
    except (OSError, OverflowError) as error:  # the latter for a port of more than 16 bits
        print(f"error: cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    url = f"http://{options.host}:{server.server_address[1]}"
    warming = threading.Thread(target=_warm, args=(supervisor, server, options.ready_file, url), daemon=True)
    warming.start()
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    server.drain(STOP_S)
    supervisor.close()
    return 0 if supervisor.version or options.ready_file is None else 1


def _warm(supervisor: Supervisor, server: Server, ready_file: Path | None, url: str) -> None:
    """Loads OpenALPR; where that fails, whoever waits for the ready file learns it by our end, and OpenWhisk by the answer to /init."""
    try:
        supervisor.ready()
    except (WorkerMissing, OSError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        if ready_file is not None:
            server.shutdown()
        return
    print(f"plates: OpenALPR {supervisor.version} reads at {url}", flush=True)
    if ready_file is not None:
        partial = ready_file.with_name(ready_file.name + ".partial")
        partial.write_text(url + "\n", encoding="utf-8")
        partial.replace(ready_file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
