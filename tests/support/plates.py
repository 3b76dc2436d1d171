"""The plates server as scripts/plates-native starts it, and calls to it."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.paths import SCRIPTS
from tests.support.polling import wait_until
from tests.support.processes import pids

START_S = 280.0
PATIENCE_MS = 100_000
END_MARK = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"


class PlatesServer:
    """A server of one's own on a free port; `environment` adds to its variables."""

    def __init__(self, folder: Path, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        ready, self.out, self.err = folder / "url", folder / "out", folder / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [SCRIPTS / "plates-native", "--port", "0", "--ready-file", ready],
                stdout=out,
                stderr=err,
                env={**os.environ, **environment},
            )
        wait_until(lambda: ready.exists() or self.process.poll() is not None, timeout_s=START_S, what="plates-native")
        assert ready.exists(), self.err.read_text()[-2000:]
        self.url = ready.read_text().strip()

    def post(self, path: str, document: Any, *, timeout_s: float = 200.0) -> tuple[int, dict[str, Any]]:
        """Status and answer; a document of bytes is sent as it is."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def run(self, **params: Any) -> dict[str, Any]:
        """The result of one activation; a photo has its time, also where a reader has to be started first."""
        value = {"timeout_ms": PATIENCE_MS, **params}
        status, result = self.post("/run", {"value": value, "activation_id": "a" * 32})
        assert status == 200, result
        return result

    def read(self, photo: bytes, **params: Any) -> dict[str, Any]:
        """The result on a photo."""
        return self.run(image=base64.b64encode(photo).decode(), **params)

    def refusal(self, **params: Any) -> str:
        """The code with which some parameters are refused."""
        error = self.run(**params)["error"]
        assert set(error) == {"code", "field", "reason", "message"}
        return str(error["code"])

    def worker(self) -> int | None:
        """The process id of the worker, while there is one.

        Looked for by its parent: in the threads' lists it moves to another when the thread that started it ends.
        """
        for pid in pids():
            with contextlib.suppress(OSError):
                state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
                if parent == str(self.process.pid) and state not in ("Z", "X"):
                    return int(pid)
        return None

    def worker_ticks(self) -> int:
        """Processor time of the worker, 1/100 s; 0 where there is none."""
        worker = self.worker()
        try:
            return sum(map(int, Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[11:13])) if worker else 0
        except (FileNotFoundError, ProcessLookupError):
            return 0

    def worker_is_gone(self) -> bool:
        """Whether no process holds our folder's streams any more: the worker ended with its server."""
        return self.process.poll() is not None and not any(map(self._writes, pids()))

    def _writes(self, pid: str) -> bool:
        """Whether a process holds our standard output; one that is going, or not ours to look into, does not."""
        try:
            return os.readlink(f"/proc/{pid}/fd/1") == str(self.out)  # noqa: PTH115
        except OSError:
            return False

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)
