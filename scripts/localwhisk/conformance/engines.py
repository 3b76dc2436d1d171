"""An engine started for one recording, with the settings it was made under, on an empty state."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from localwhisk.conformance.recording import Exchange
from localwhisk.identity import PUBLIC
from localwhisk.settings import IDENTITY

_START_S = 120
_STOP_S = 60
# invocations and fires a minute, concurrent; for recordings that do not show a root document
_SETTINGS = {"main": (6000, 6000, 30), "throttle": (60, 60, 30), "logstore": (60, 60, 30)}
_ROOMY = (600_000, 600_000, 200)


def settings(name: str, exchanges: Sequence[Exchange]) -> tuple[int, int, int]:
    """Rates of the recorded server: from the root document it answered, else from the file's name."""
    for exchange in exchanges:
        body = exchange.response.get("body")
        if (
            exchange.raw["request"]["path"] in ("/", "/api/info")
            and isinstance(body, dict)
            and "limits" in body
        ):
            limits = body["limits"]
            return limits["actions_per_minute"], limits["triggers_per_minute"], limits["concurrent_actions"]
    return _SETTINGS.get(name, _ROOMY)


@contextmanager
def running(rates: tuple[int, int, int]) -> Iterator[str]:
    """Address of an engine of its own; it is stopped and its state removed at the end."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        ready = Path(folder) / "address"
        output = Path(folder) / "output"
        with output.open("wb") as log:
            process = subprocess.Popen(_command(folder, ready, rates), stdout=log, stderr=log, env=_environment())
        try:
            yield _wait(process, ready, output)
        finally:
            _stop(process)


def _command(folder: str, ready: Path, rates: tuple[int, int, int]) -> list[str]:
    invocations, fires, concurrent = (str(rate) for rate in rates)
    options = [
        "--port",
        "0",
        "--state",
        f"{folder}/state",
        "--ready-file",
        str(ready),
        "--no-alarms",
        "--quiet",
    ]
    options += [
        "--invocations-per-minute",
        invocations,
        "--fires-per-minute",
        fires,
        "--concurrent",
        concurrent,
    ]
    return [sys.executable, "-m", "localwhisk", "serve", "--allow-origin", "*", *options]


def _environment() -> dict[str, str]:
    """The keys of the recordings, which the engine would not take by itself."""
    return {**os.environ, IDENTITY: " ".join(f"{one.namespace}={one.auth}" for one in PUBLIC)}


def _wait(process: subprocess.Popen[bytes], ready: Path, output: Path) -> str:
    end = time.monotonic() + _START_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > end:
            message = f"the engine did not start: {output.read_text(errors='replace')[-2000:]}"
            raise RuntimeError(message)
        time.sleep(0.02)
    return ready.read_text().strip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
