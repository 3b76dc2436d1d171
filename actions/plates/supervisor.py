"""The server's side of its worker process: one is kept warm, killed when it is late, replaced when it is gone."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from plates import wire
from plates.contract import Options, Trained
from plates.errors import Refused

START_S = 60.0
GRACE_S = 1.5
"""What a worker may take beyond the deadline that it knows of itself."""
_SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


class WorkerMissing(Exception):
    """The worker does not start: what it printed says why."""


class Worker:
    """One worker process and the socket to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "plates.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **_SINGLE_THREADED},
            )
        self._channel = ours
        self.version = ""
        self.trained = Trained((), {})

    def wait_ready(self) -> None:
        """Waits until OpenALPR is loaded; WorkerMissing where it is not."""
        try:
            head, _ = wire.receive(self._channel, deadline=time.monotonic() + START_S)
        except (wire.Ended, TimeoutError) as error:
            self.stop()
            raise WorkerMissing(f"the reader did not start, exit status {self._process.returncode}") from error
        self.version = head["version"]
        self.trained = Trained(tuple(head["trained"]["countries"]), head["trained"]["regions"])

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, head: dict[str, Any], photo: bytes, *, deadline: float) -> dict[str, Any]:
        """One question, one answer; wire.Ended or TimeoutError."""
        self._channel.settimeout(max(0.1, deadline - time.monotonic()))
        wire.send(self._channel, head, photo)
        self._channel.settimeout(None)
        return wire.receive(self._channel, deadline=deadline)[0]

    def stop(self) -> None:
        """Ends the process at once."""
        self._channel.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()


class Supervisor:
    """Keeps one worker warm; not for several photos at a time, its caller sees to that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._closed = False
        self.trained = Trained((), {})
        self.version = ""

    def ready(self) -> Worker:
        """A running worker, started when there is none."""
        with self._lock:
            if self._closed:
                raise WorkerMissing("the server is stopping")
            if self._worker is None or not self._worker.alive():
                self._discard()
                worker = Worker()
                worker.wait_ready()
                self._worker = worker
                self.trained, self.version = worker.trained, worker.version
            return self._worker

    def read(self, photo: bytes, options: Options, *, field: str, deadline: float) -> dict[str, Any]:
        """The answer on a photo; Refused where there is none, also when the worker was late or died of it."""
        worker = self.ready()
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise Refused("too-slow", "timeout_ms", "no time is left to read the photo")
        head = {"options": asdict(options), "field": field, "seconds": seconds}
        try:
            reply = worker.ask(head, photo, deadline=deadline + GRACE_S)
        except TimeoutError as error:
            self._replace()
            raise Refused("too-slow", "timeout_ms", "the photo was not read in the time allowed") from error
        except wire.Ended as error:
            self._replace()
            raise Refused("recognition-failed", field, "the reader ended while it was at this image") from error
        if reply.get("retire"):
            self._replace()
        if "refused" in reply:
            raise Refused(*reply["refused"])
        found: dict[str, Any] = reply["answer"]
        return found

    def close(self) -> None:
        """Ends the worker; none is started after this."""
        with self._lock:
            self._closed = True
            self._discard()

    def _replace(self) -> None:
        """Ends the worker and starts the next one in the background, so that the next photo finds it warm."""
        with self._lock:
            self._discard()
        threading.Thread(target=self._start_quietly, daemon=True).start()

    def _start_quietly(self) -> None:
        with contextlib.suppress(WorkerMissing, OSError):
            self.ready()

    def _discard(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
