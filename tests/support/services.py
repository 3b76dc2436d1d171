"""Real mosquitto, Redis and Elasticsearch for a test session, started by scripts/stack when first asked for."""

import os
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib.stack.controller import Stack
from lib.stack.services import SERVICES
from tests.support.paths import SCRIPTS

OWN_SERVERS = ("HORT_MQTT_URL", "HORT_REDIS_URL", "HORT_ELASTICSEARCH_URL")
TIMEOUT_S = 900  # the first start may install what is missing


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without a developer's own servers and state."""
    dropped = (*OWN_SERVERS, "HORT_STATE")
    return {name: value for name, value in os.environ.items() if name not in dropped} | extra


class Services:
    """The services of one state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._started: set[str] = set()
        self._urls: dict[str, str] = {}
        self._stack = Stack(state=state.resolve(), own={})

    def url(self, name: str) -> str:
        """Return a service's address; it is started on the first call."""
        if name not in self._started:
            self.run("up", name)
            self._started.add(name)
        if name not in self._urls:
            self._urls[name] = str(self.status(name)["url"])
        return self._urls[name]

    def start(self, name: str) -> None:
        """Start a service that was stopped or killed, on the port it had."""
        self.run("start", name)

    def stop(self, *names: str) -> None:
        """Stop services in order and wait until they are gone."""
        self._stack.down(list(names))

    def pid(self, name: str) -> int:
        """Return the pid of a running service."""
        return int(self.status(name)["pid"])

    def status(self, name: str) -> dict[str, Any]:
        """Return what `scripts/stack status --json` says of a service, without starting a process for it."""
        return asdict(self._stack.status([name])[0])

    def close(self) -> None:
        """Stop everything."""
        self.stop(*SERVICES)

    def run(self, *arguments: str) -> None:
        """Run a command of scripts/stack; a failure raises AssertionError with what it said."""
        self._urls.clear()  # of what is started anew, the address may be another
        done = subprocess.run(
            [SCRIPTS / "stack", *arguments, "--state", self.state],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"scripts/stack {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}"
