"""A suite of its own for a benchmark: services, engine, provider, deployed; torn down at the end."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from demonstrate import processes
from demonstrate.feeds import await_subscriptions
from demonstrate.options import ROOT
from demonstrate.whisk import Whisk
from lib.local import GUEST_KEY

URLS = {"mosquitto": "HORT_MQTT_URL", "redis": "HORT_REDIS_URL", "elasticsearch": "HORT_ELASTICSEARCH_URL"}


@dataclass
class Machine:
    """Addresses and process ids of the parts."""

    env: dict[str, str]
    state: Path
    given: dict[str, str] = field(default_factory=dict)
    """The environment without the services' addresses, which would say that they are not ours."""
    whisk: Whisk = field(default_factory=lambda: Whisk("", GUEST_KEY))
    provider_url: str = ""
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def mqtt_url(self) -> str:
        """The broker."""
        return self.env["HORT_MQTT_URL"]

    @property
    def redis_url(self) -> str:
        """Redis."""
        return self.env["HORT_REDIS_URL"]

    @property
    def elasticsearch_url(self) -> str:
        """Elasticsearch."""
        return self.env["HORT_ELASTICSEARCH_URL"]

    def stack_status(self, *services: str) -> list[dict[str, Any]]:
        """Name, url and pid of each service, or of those that are named, also where one is down or slow."""
        argv = [str(ROOT / "scripts" / "stack"), "status", *services, "--json", "--state", str(self.state)]
        rows: list[dict[str, Any]] = json.loads(subprocess.run(argv, env=self.given, check=False, stdout=subprocess.PIPE).stdout)
        return rows

    def stack(self, verb: str, *services: str) -> None:
        """`stop` or `start` of single services; a restarted one keeps its port."""
        self.script("stack", verb, *services, "--state", str(self.state), env=self.given)

    def script(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        """One of our scripts, its output on standard error only when it fails."""
        done = subprocess.run(
            [str(ROOT / "scripts" / name), *arguments], env=env or self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            raise RuntimeError(f"./scripts/{name} failed:\n{done.stdout.decode(errors='replace')[-3000:]}")


@contextmanager
def services(*names: str) -> Iterator[Machine]:
    """Only broker, Redis and Elasticsearch, or those of them that are named."""
    with tempfile.TemporaryDirectory(prefix="hort-bench-", ignore_cleanup_errors=True) as folder:
        state = Path(folder)
        path = os.pathsep.join(str(ROOT / part) for part in (".", "actions", "scripts"))
        own = {name: value for name, value in os.environ.items() if name not in URLS.values()}
        machine = Machine({**own, "HORT_STATE": folder, "HORT_PYTHON": sys.executable, "PYTHONPATH": path}, state)
        machine.given = dict(machine.env)
        machine.stack("up", *names)
        try:
            for row in machine.stack_status(*names):
                machine.env[URLS[row["name"]]] = row["url"]
                machine.pids[row["name"]] = int(row["pid"])
            yield machine
        finally:
            machine.stack("down")


@contextmanager
def engine(machine: Machine, *limits: str) -> Iterator[None]:
    """The engine beside the services."""
    argv = [str(ROOT / "scripts" / "whisk"), "serve", "--port", "0", "--state", str(machine.state / "engine"), *limits]
    part = processes.start("engine", argv, logs=machine.state / "logs", env=machine.env)
    try:
        machine.whisk = Whisk(part.address, GUEST_KEY)
        machine.pids["engine"] = part.popen.pid
        yield
    finally:
        part.stop()


@contextmanager
def suite(machine: Machine, *, limits: tuple[str, ...], **settings: str) -> Iterator[None]:
    """Engine, provider and our manifest deployed, the demo's source silent; settings are HORT_* variables without the prefix."""
    with ExitStack() as stack:
        stack.enter_context(engine(machine, *limits))
        machine.env |= {
            "HORT_API_HOST": machine.whisk.api_host,
            "HORT_PROVIDER_PORT": "0",
            "HORT_PROVIDER_SECRET": secrets.token_urlsafe(24),
            "HORT_PROVIDER_KEY": secrets.token_urlsafe(32),
            "HORT_REGISTRY_KEY": secrets.token_urlsafe(24),
            "HORT_ALLOW_PRIVATE": "127.0.0.0/8",
            "HORT_TOPICS": "iot-2/type/bench/#",
            **{f"HORT_{name.upper()}": value for name, value in settings.items()},
        }
        provider = processes.start(
            "provider", [sys.executable, "-m", "feeds.provider"], logs=machine.state / "logs", env=machine.env
        )
        stack.callback(provider.stop)
        machine.provider_url = provider.address
        machine.env["HORT_PROVIDER_URL"] = provider.address
        machine.pids["provider"] = provider.popen.pid
        machine.script("deploy", "--apihost", machine.whisk.api_host)
        machine.whisk.set_rule("poll-to-divvy", active=False)
        await_subscriptions(machine.provider_url, machine.env["HORT_PROVIDER_SECRET"])
        yield


@contextmanager
def model(machine: Machine, name: str = "bench") -> Iterator[None]:
    """A model that costs nothing, registered and polled."""
    argv = [sys.executable, "-m", "workloads.model_server"]
    server = processes.start("model", argv, logs=machine.state / "logs", env=machine.env)
    machine.pids["model"] = server.popen.pid
    try:
        machine.whisk.put_model(name, {"url": server.address, "protocol": "instances"})
        machine.whisk.invoke("hort/poll-models")
        yield
    finally:
        server.stop()


def metrics(machine: Machine) -> str:
    """The provider's metrics page."""
    return requests.get(f"{machine.provider_url}/metrics", timeout=60).text
