"""One container of the plates image, published on a loopback port, its protocol spoken over HTTP."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Self

from lib.images.engines import Engine, EngineError

START_S = 60.0
_PODMAN_LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:2048")
"""OpenWhisk's own; podman's defaults are the host's, which a container within a container may not set."""


class Container:
    """A running container; `with` removes it.

    OpenWhisk gives an action container its memory limit, no capabilities beyond the default, and 8080 as its port. Where the machine has no
    networks for containers (no iptables, as inside another container), the host's network is used, with a free port.
    """

    def __init__(self, engine: Engine, image: str, *, memory_mb: int) -> None:
        self._engine = engine
        memory = f"{memory_mb}m"
        limits = ["--memory", memory, "--memory-swap", memory, *(_PODMAN_LIMITS if engine.name == "podman" else ())]
        try:
            self.id, self.url = self._published(image, limits)
        except EngineError:
            self.id, self.url = self._on_host_network(image, limits)

    def _published(self, image: str, limits: Sequence[str]) -> tuple[str, str]:
        created = self._engine.output("run", "-d", "-p", "127.0.0.1::8080", *limits, image, timeout_s=60)
        identity = created.splitlines()[-1]
        return identity, "http://" + self._engine.output("port", identity, "8080/tcp").split()[0]

    def _on_host_network(self, image: str, limits: Sequence[str]) -> tuple[str, str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        created = self._engine.output(
            *("run", "-d", "--network", "host", *limits, image, "--host", "127.0.0.1", "--port", str(port)), timeout_s=60
        )
        return created.splitlines()[-1], f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(EngineError):
            self._engine.output("rm", "-f", self.id, timeout_s=60)

    def post(self, path: str, document: Any, *, timeout_s: float = 60.0) -> tuple[int, Any]:
        """Status and document of one call."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(document).encode(), headers)  # noqa: S310  # http to loopback
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def wait(self) -> None:
        """Waits until the port answers."""
        end = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(self.url + "/", timeout=5)  # noqa: S310
            except urllib.error.HTTPError:
                return
            except OSError as error:
                if time.monotonic() > end:
                    raise EngineError(f"the container does not answer: {error}; {self.logs()[-400:]}") from error
                time.sleep(0.1)
            else:
                return

    def inside(self, *command: str) -> str:
        """What a command in the container prints."""
        return self._engine.output("exec", self.id, *command, timeout_s=60)

    def logs(self) -> str:
        """Both streams."""
        return self._engine.output("logs", self.id, timeout_s=60)

    def stop(self) -> int:
        """SIGTERM; the exit status of the server."""
        self._engine.output("stop", "-t", "30", self.id, timeout_s=60)
        return int(self._engine.output("inspect", "--format", "{{.State.ExitCode}}", self.id))
