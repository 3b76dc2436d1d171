"""The suite under test: services, two providers, the engine and a model, every way between them through a proxy."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from campaign.batches import Batches
from campaign.clocks import Clock
from campaign.parts import Part
from campaign.proxy import Network, Proxy
from campaign.rejections import ElasticsearchProxy
from demonstrate import processes
from demonstrate.feeds import await_subscriptions
from demonstrate.whisk import Whisk
from lib.local import GUEST_KEY
from localwhisk.runtimes.memory import descendants
from workloads.machine import Machine, services

LIMITS = {
    "raised": ("--limits", "raised", "--invocations-per-minute", "1200", "--fires-per-minute", "1200", "--concurrent", "100"),
    "stock": ("--limits", "stock"),
}
FIRES = {"raised": "300", "stock": "45"}
SERVICES = {"broker": "mosquitto", "redis": "redis", "elasticsearch": "elasticsearch"}
KEPT_ACTIVATIONS = 20_000
STATE_BYTES = 384 << 20
MODEL = "known"
GRACE_S = 900
"""How long the feed's session outlives a redeployment that a fault interrupts."""


@dataclass
class Stage:
    """What faults can reach."""

    machine: Machine
    network: Network
    broker_url: str
    redis_url: str
    elasticsearch_url: str
    """The three services themselves, past all proxies."""
    batches: Batches
    elasticsearch: ElasticsearchProxy
    parts: dict[str, Part] = field(default_factory=dict)
    links: dict[str, Proxy] = field(default_factory=dict)
    clocks: dict[str, Clock] = field(default_factory=dict)
    provider_urls: dict[str, str] = field(default_factory=dict)
    engine_state: Path = Path()
    own_disk: bool = False
    """Whether the engine's state lies on a file system of its own, which may be filled."""
    broker_deaths: list[float] = field(default_factory=list)
    """When the broker was killed with SIGKILL, seconds since the epoch."""
    jumps: list[float] = field(default_factory=list)
    """By how much clocks jumped, seconds."""

    def actions(self) -> set[int]:
        """Process ids of the actions."""
        engine = self.parts["engine"].pid
        return set(descendants(engine)[1:]) if engine else set()

    def may_kill(self, pid: int) -> bool:
        """Whether a process is one of the actions."""
        return pid in self.actions()

    def fire(self, payload: dict[str, Any]) -> bool:
        """Fires the trigger as the provider does; whether the engine took it."""
        with contextlib.suppress(RuntimeError, requests.RequestException):
            self.machine.whisk.fire("device-events", payload)
            return True
        return False

    def deploy(self) -> None:
        """Deploys the manifest, without the demo's source; RuntimeError with the tool's output where that fails."""
        self.machine.script("deploy", "--apihost", self.machine.whisk.api_host)
        try:
            self.machine.whisk.set_rule("poll-to-divvy", active=False)
        except requests.RequestException as error:
            raise RuntimeError(f"the engine is away: {error}") from error

    def heal(self) -> None:
        """Undoes whatever may be left of faults at the ways and clocks."""
        for link in self.links.values():
            link.heal()
            link.disarm()
        self.elasticsearch.heal()
        for clock in self.clocks.values():
            clock.jump(0)


@contextlib.contextmanager
def stage(*, limits: str = "raised", settings: dict[str, str] | None = None) -> Iterator[Stage]:
    """Everything up, the manifest deployed and the model polled; torn down at the end."""
    with ExitStack() as stack:
        machine = stack.enter_context(services())
        network = Network()
        stack.callback(network.close)
        direct = (machine.mqtt_url, machine.redis_url, machine.elasticsearch_url)
        batches = Batches(machine.redis_url)
        stack.callback(batches.close)
        elasticsearch = ElasticsearchProxy(machine.elasticsearch_url)
        stack.callback(elasticsearch.close)
        built = Stage(machine, network, *direct, batches, elasticsearch)
        _services(built)
        _ways_to_services(built)
        _engine(built, stack, limits)
        _providers(built, stack)
        machine.env |= {
            "HORT_TIME_FIELD": "time",
            "HORT_ID_FIELD": "number",
            "HORT_MAX_FIRES_PER_MINUTE": FIRES[limits],
            "HORT_GRACE_S": str(GRACE_S),
            **(settings or {}),
        }
        built.deploy()
        _model(built, stack)
        await_subscriptions(machine.provider_url, machine.env["HORT_PROVIDER_SECRET"])
        yield built


def _services(built: Stage) -> None:
    machine = built.machine
    for name, service in SERVICES.items():

        def begin(service: str = service) -> int:
            machine.stack("start", service)
            return next(int(row["pid"]) for row in machine.stack_status() if row["name"] == service)

        built.parts[name] = Part(name, begin)
        built.parts[name].start()


def _link(built: Stage, name: str, url: str) -> str:
    """A proxy before an address; the address to use in its place."""
    parts = urlsplit(url)
    upstream = (str(parts.hostname), int(parts.port or 0))
    proxy = built.network.proxy(name, upstream=upstream, may_kill=built.may_kill)
    built.links[name] = proxy
    return proxy.url(parts.scheme)


def _ways_to_services(built: Stage) -> None:
    machine = built.machine
    machine.env |= {
        "HORT_MQTT_URL": _link(built, "provider-broker", machine.mqtt_url),
        "HORT_REDIS_URL": _link(built, "actions-redis", machine.redis_url),
        "HORT_ELASTICSEARCH_URL": _link(built, "actions-elasticsearch", built.elasticsearch.url),
    }


def _engine(built: Stage, stack: ExitStack, limits: str) -> None:
    machine, port = built.machine, processes.free_port()
    built.engine_state = machine.state / "engine"
    built.own_disk = _mount(built.engine_state, stack)
    clock = built.clocks["engine"] = Clock(machine.state / "clock-engine", base=Path(sys.executable))
    actions = Path(machine.env.get("LOCALWHISK_ACTION_PYTHON") or Path(machine.env["HORT_ACTIONS_ENV"]) / "bin" / "python")
    built.clocks["actions"] = Clock(machine.state / "clock-actions", base=actions)
    env = {**machine.env, "LOCALWHISK_ACTION_PYTHON": str(built.clocks["actions"].python)}
    argv = [
        *(str(clock.python), "-m", "localwhisk", "serve", "--port", str(port), "--state", str(built.engine_state)),
        *("--keep-activations", str(KEPT_ACTIVATIONS), "--quiet", *LIMITS[limits]),
    ]
    part = _own(built, "engine", argv, env, stack)
    part.start()
    machine.whisk = Whisk(f"http://127.0.0.1:{port}", GUEST_KEY)


def _providers(built: Stage, stack: ExitStack) -> None:
    machine = built.machine
    machine.env |= {
        "HORT_PROVIDER_SECRET": secrets.token_urlsafe(24),
        "HORT_PROVIDER_KEY": secrets.token_urlsafe(32),
        "HORT_REGISTRY_KEY": secrets.token_urlsafe(24),
        "HORT_ALLOW_PRIVATE": "127.0.0.0/8",
    }
    shared = {
        **machine.env,
        "HORT_REDIS_URL": _link(built, "provider-redis", built.redis_url),
        "HORT_API_HOST": _link(built, "provider-engine", machine.whisk.api_host),
    }
    for name in ("provider", "provider-2"):
        clock = built.clocks[name] = Clock(machine.state / f"clock-{name}", base=Path(sys.executable))
        port = processes.free_port()
        part = _own(built, name, [str(clock.python), "-m", "feeds.provider", "--port", str(port)], shared, stack)
        part.start()
        built.provider_urls[name] = f"http://127.0.0.1:{port}"
        if name == "provider":
            machine.provider_url = built.provider_urls[name]
            machine.env["HORT_PROVIDER_URL"] = _link(built, "feed-provider", machine.provider_url)


def _model(built: Stage, stack: ExitStack) -> None:
    machine = built.machine
    server = processes.start("model", [sys.executable, "-m", "campaign.model"], logs=machine.state / "logs", env=machine.env)
    stack.callback(server.stop)
    url = urlsplit(server.address)
    address = _link(built, "actions-model", server.address)
    machine.whisk.put_model(MODEL, {"url": f"{address}{url.path}", "protocol": "instances", "timeout_ms": 2000})
    machine.whisk.invoke("hort/poll-models")


def _own(built: Stage, name: str, argv: list[str], env: dict[str, str], stack: ExitStack) -> Part:
    """A part that is a child of this process."""

    def begin() -> int:
        return processes.start(name, argv, logs=built.machine.state / "logs", env=env).popen.pid

    part = built.parts[name] = Part(name, begin)
    stack.callback(part.end)
    return part


def _mount(folder: Path, stack: ExitStack) -> bool:
    """Puts a file system of its own under a folder; False where that is not allowed here."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return False
    argv = ["mount", "-t", "tmpfs", "-o", f"size={STATE_BYTES},mode=755", "hort-campaign", str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode:
        return False
    stack.callback(subprocess.run, ["umount", "-l", str(folder)], capture_output=True, check=False)
    return True
