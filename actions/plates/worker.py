"""The process that decodes photos and holds OpenALPR; the server starts it, talks to it over a socket, and replaces it when it dies.

What a hostile file can do ends here: a crash of a decoder, endless work, memory without bound. `python -m plates.worker FD`.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
from dataclasses import asdict
from typing import Any

from plates import wire
from plates.contract import Options
from plates.errors import Refused
from plates.openalpr import Engine
from plates.reader import Reader

MEMORY_VARIABLE = "HORT_PLATES_MEMORY_MB"
DEFAULT_MEMORY_MB = 1536
"""Address space, which is about three times what is really used."""
RETIRE_PEAK_MB = 700
"""A worker that has been larger than this is replaced after its answer: memory given back to the heap is not given back to the machine."""


def main(descriptor: int) -> None:
    """Serves one message after the other until the server closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    with socket.socket(fileno=descriptor) as channel:
        engine = Engine()
        reader = Reader(engine)
        engine.warm(os.environ.get("HORT_COUNTRY") or "us")
        trained = reader.trained
        wire.send(channel, {"ready": True, "version": engine.version, "trained": asdict(trained)})
        try:
            while True:
                head, photo = wire.receive(channel)
                wire.send(channel, _answer(reader, head, photo))
        except wire.Ended:
            pass


def _answer(reader: Reader, head: dict[str, Any], photo: bytes) -> dict[str, Any]:
    options = Options(**{**head["options"], "country": tuple(head["options"]["country"])})
    deadline = time.monotonic() + head["seconds"]
    try:
        found = reader.read(photo, options, field=head["field"], deadline=deadline)
    except Refused as error:
        return {"refused": [error.code, error.field, error.reason], "retire": _outgrown()}
    except MemoryError:
        reason = "there is not enough memory to read it"
        return {"refused": ["too-many-pixels", head["field"], reason], "retire": True}
    except Exception as error:  # noqa: BLE001  # one photo's trouble must not be the next one's
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        return {"refused": ["recognition-failed", head["field"], reason], "retire": True}
    return {"answer": found, "retire": _outgrown()}


def _outgrown() -> bool:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > RETIRE_PEAK_MB * 1024


def _limit_memory() -> None:
    limit = int(os.environ.get(MEMORY_VARIABLE) or DEFAULT_MEMORY_MB) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
