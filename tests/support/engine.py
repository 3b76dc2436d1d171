"""A real engine (scripts/whisk serve) on a free port, for tests."""

import base64
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, ClassVar

from tests.support.paths import SCRIPTS
from tests.support.polling import wait_until
from tests.support.services import environment

# OpenWhisk's public key of the namespace guest.
GUEST_KEY = (
    "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
)
OTHER_KEY = "00000000-0000-0000-0000-000000000001:" + "k" * 64
"""Of the namespace `other` on the shared engine."""
START_TIMEOUT_S = 600  # the first start may make the action environment


class Engine:
    """One engine process over one state folder; `apihost`, `auth`, `pid` and `state` say where it is."""

    COMMAND: ClassVar[tuple[str, ...]] = (str(SCRIPTS / "whisk"),)

    def __init__(self, state: Path, *options: str) -> None:
        self.state = state
        self.auth = GUEST_KEY
        self.apihost = ""
        self._options = options
        self._log = state / "engine.log"
        state.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        """Start the process and wait for its ready file, which holds its address."""
        ready = self.state / "ready"
        ready.unlink(missing_ok=True)
        argv = [
            *self.COMMAND,
            "serve",
            "--port",
            "0",
            "--state",
            str(self.state / "entities"),
            "--ready-file",
            str(ready),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*argv, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                start_new_session=True,
            )
        self.apihost = wait_until(
            lambda: self._address(ready), timeout_s=START_TIMEOUT_S, what="the engine's start"
        )

    def _address(self, ready: Path) -> str:
        assert self._process.poll() is None, f"the engine ended at its start:\n{self.log()[-3000:]}"
        return ready.read_text(encoding="utf-8").strip() if ready.exists() else ""

    @property
    def pid(self) -> int:
        """The process id, for a kill -9."""
        return self._process.pid

    def log(self) -> str:
        """Return what the engine has said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def url(self, path: str) -> str:
        """Return an address under the key's own namespace: `url("actions/hort/models")`."""
        return f"{self.apihost}/api/v1/namespaces/_/{path.lstrip('/')}"

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Make one authenticated call under the namespace; returns the status and the decoded answer (None when empty)."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url(path), method=method, data=data)
        request.add_header("Authorization", f"Basic {base64.b64encode(self.auth.encode()).decode()}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        try:
            return status, json.loads(text) if text else None
        except ValueError:
            return status, text.decode(errors="replace")

    def empty(self) -> None:
        """Delete the namespace's rules, triggers, actions and packages: what one test leaves would change what another puts over it."""
        for collection in ("rules", "triggers", "actions", "packages"):
            _, found = self.call("GET", f"{collection}?limit=200")
            for entity in found:
                package = entity["namespace"].partition("/")[2]
                name = f"{package}/{entity['name']}" if package else entity["name"]
                status, answer = self.call("DELETE", f"{collection}/{name}")
                assert status == 200, answer

    def record(self, activation_id: str) -> Any:
        """Return an activation's record; None while there is none."""
        status, record = self.call("GET", f"activations/{activation_id}")
        return record if status == 200 else None

    def kill(self) -> None:
        """Kill the engine without warning, as a crash would."""
        self._process.kill()
        self._process.wait(60)

    def stop(self) -> None:
        """Stop it in order; one that hangs is killed with its whole group."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
