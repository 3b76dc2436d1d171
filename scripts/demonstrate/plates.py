"""The plates part of the demo: the reader is built and started beside the stream, which neither waits for it nor falls with it."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from demonstrate import processes
from demonstrate.options import ROOT
from demonstrate.whisk import Whisk
from lib.images.table import FINAL

PHOTO = ROOT.parent / "shared" / "data" / "plates" / "photos" / "s16-8319.jpg"
DRAWN = Path(__file__).with_name("drawn.jpg")
"""A car and its plate as a child draws them: shown where the photo is not there."""
LOOK_EVERY_S = 0.5
BUILD_TIMEOUT_S = 3_600.0
BUILDING = "the reader is being built: minutes, the first time; the page waits for it"

Tell = Callable[[str], None]


class Plates:
    """The reader's process and the thread that waits for it; `state` is one line for people."""

    def __init__(self, *, logs: Path, env: Mapping[str, str], tell: Tell) -> None:
        self.state = BUILDING
        self._logs = logs
        self._env = env
        self._tell = tell
        self._port = processes.free_port()
        self._ended = threading.Event()
        self._process: processes.Process | None = None
        self._thread: threading.Thread | None = None

    @property
    def mapping(self) -> str:
        """Which image the engine takes the server for: value of its option `--map-image`."""
        registry = self._env.get("HORT_IMAGE_REGISTRY", "")
        return f"{registry}{FINAL.image}=http://127.0.0.1:{self._port}"

    def start(self, whisk: Whisk) -> None:
        """Starts the reader at low priority; returns at once."""
        ready = self._logs / "plates.ready"
        ready.unlink(missing_ok=True)
        argv = ["nice", "-n", "19", str(ROOT / "scripts" / "plates-native")]
        argv += ["--port", str(self._port), "--ready-file", str(ready)]
        try:
            self._process = processes.start("plates", argv, logs=self._logs, env=dict(self._env), ready=False)
        except OSError as error:
            self._say(f"the reader cannot be started: {error}")
            return
        self._thread = threading.Thread(target=self._watch, args=(self._process, ready, whisk), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the reader, or its build with everything that compiles."""
        self._ended.set()
        process = self._process
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.popen.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(processes.STOP_TIMEOUT_S)
        if self._thread is not None:
            self._thread.join(processes.STOP_TIMEOUT_S)

    def _watch(self, process: processes.Process, ready: Path, whisk: Whisk) -> None:
        waited = 0.0
        while not ready.exists():
            if self._ended.wait(LOOK_EVERY_S):
                return
            waited += LOOK_EVERY_S
            if not process.alive() or waited > BUILD_TIMEOUT_S:
                self._say(f"no plates are read: the reader did not come up, see {process.log}; everything else runs")
                return
        self._say(_read(whisk, PHOTO if PHOTO.exists() else DRAWN))

    def _say(self, text: str) -> None:
        self.state = text
        if not self._ended.is_set():
            self._tell(f"plates: {text}")


def _read(whisk: Whisk, photo: Path) -> str:
    """What the action says of a photo, in a line."""
    try:
        answer = whisk.invoke("hort/plates", {"image": base64.b64encode(photo.read_bytes()).decode(), "n": 3})
    except (RuntimeError, OSError, requests.RequestException) as error:
        return f"{photo.name} could not be read: {str(error)[:200]}"
    return told(photo.name, answer)


def told(name: str, answer: Mapping[str, Any]) -> str:
    """An answer of the action `plates` in a line."""
    if not answer.get("plate"):
        return f"no plate found in {name}"
    others = [str(one["plate"]) for one in answer["results"][0].get("candidates", []) if one["plate"] != answer["plate"]]
    doubts = f", or {' or '.join(others[:2])}" if others else ""
    took = float(answer.get("processing_time_ms") or 0)
    return f"{name} shows {answer['plate']} ({float(answer['confidence']):.1f} % sure{doubts}), read in {took:.0f} ms"
