"""Bringing the parts up in order and down again."""

from __future__ import annotations

import os
import shutil
import sys
import time

import requests

from demonstrate import keys, processes
from demonstrate import settings as settings_module
from demonstrate.feeds import await_subscriptions
from demonstrate.options import (
    ANONYMOUS_PER_MINUTE,
    FIRES_PER_MINUTE,
    INVOCATIONS_PER_MINUTE,
    LIVE_URL,
    PORT,
    ROOT,
    Options,
)
from demonstrate.plates import BUILDING, Plates
from demonstrate.settings import SERVICES
from demonstrate.view import View
from demonstrate.whisk import Whisk
from lib import state
from lib.stack import records
from lib.stack.controller import masked

BROKER, STORE, SEARCH = SERVICES
OURS = ("stack", "stack.env", "stack.lock", "engine", "logs", *keys.MADE)
"""What an earlier demo left in the state folder, apart from its keys."""
RECORDED_TTL_S = 60
"""A bike share's station status is renewed once a minute."""
READY_TIMEOUT_S = 60.0
TENDED = ("mosquitto", "redis")
RESTART_FREE_BYTES = 100_000_000
"""With less than this free, what ended on a full disk would soon end again."""
RESTARTED_EVERY_S = 10.0
POLLED_TIMEOUT_S, POLLED_EVERY_S = 60.0, 0.2
OF_BIKES = "?fields=num_bikes_available,num_docks_available"
MODELS = (
    ("echo", "answers what it was sent"),
    ("anomaly", "above or below average by more than one std"),
)
PATIENT = {"timeout_ms": 30_000, "breaker": {"failures": 0, "within_s": 60, "open_s": 30}}


class Suite:
    """Everything the demo runs; `start` then `stop`, which is safe at any moment."""

    def __init__(self, options: Options, view: View) -> None:
        self._options = options
        self._view = view
        self._parts: list[processes.Process] = []
        self._begun = False
        self._deployed = False
        self._gbfs_port = 0
        self._service_trouble = ""
        self._restart_at = 0.0
        self._elasticsearch: processes.Process | None = None
        self._logs = options.state / "logs"
        self.env = {**os.environ, "HORT_STATE": str(options.state), "HORT_PYTHON": sys.executable}
        self._given = dict(self.env)
        self.env["PYTHONPATH"] = os.pathsep.join(str(ROOT / part) for part in (".", "actions", "scripts"))
        self.whisk = Whisk("", "")
        self.provider_url = ""
        self.plates: Plates | None = None

    def prepare(self) -> None:
        """An empty state folder, after whatever an earlier, killed demo left running has been stopped; StartFailed for what cannot go well."""
        self.env |= settings_module.settled(self._given, keys.kept(self._options.state))
        if problems := settings_module.problems(self._options, self.env):
            raise processes.StartFailed("\n  ".join(["nothing was started:", *problems]))
        processes.stop_left(self._logs)
        self._stack("down")
        state.empty(self._options.state, OURS)

    def start(self) -> None:
        """Services, engine, provider, deployment, models; `start_source` comes after it, so that nothing is missed."""
        self._view.step("services: mosquitto, Redis; Elasticsearch starts meanwhile")
        self._start_services()
        self._view.step("engine")
        self._start_engine()
        self._view.step("feed provider")
        self._start_provider()
        self._view.step("build and deploy with wskdeploy")
        self._deploy()
        self._view.step("models")
        self._register_models()
        self._view.step("subscription to the broker")
        await_subscriptions(self.provider_url, self.env["HORT_PROVIDER_SECRET"], timeout_s=READY_TIMEOUT_S)
        self._view.step("Elasticsearch")
        self._await_elasticsearch()
        if self.plates is not None:
            self.plates.start(self.whisk)

    def addresses(self) -> dict[str, str]:
        """Where to look, and the line that makes a shell's wsk and curl use this engine."""
        return {
            "dashboard": self.whisk.web("dashboard"),
            **({"plates": self.whisk.web("plates-page") + (f" ({BUILDING})" if self.plates.state == BUILDING else "")} if self.plates else {}),
            "models": self.whisk.web("models"),
            "engine": self.whisk.api_host,
            "Elasticsearch": masked(self.env[SEARCH]),
            "MQTT": masked(self.env[BROKER]),
            "metrics": f"{self.provider_url}/metrics",
            "logs": str(self._logs),
            "key for reports": self.env["HORT_REGISTRY_KEY"],
            "to use wsk and curl, paste": keys.tell(self._options.state, self.env),
        }

    def start_source(self) -> None:
        """Data from here on; the first poll at once, since the alarm comes only at its next full ten seconds."""
        self._view.step(f"data source: {self._options.source}")
        if not self._options.city:
            return
        if not self._options.live:
            self._gbfs_port = processes.free_port()
            self._serve_gbfs()
        self.whisk.bind("hort/divvy", {"gbfs_url": LIVE_URL if self._options.live else f"http://127.0.0.1:{self._gbfs_port}/gbfs.json"})
        self.whisk.set_rule("poll-to-divvy", active=True)
        self.whisk.invoke("hort/divvy")

    def stop_source(self) -> None:
        """No new data: no poll begins, those under way have published and counted, then the server they poll stops."""
        self.whisk.set_rule("poll-to-divvy", active=False)
        deadline = time.monotonic() + POLLED_TIMEOUT_S
        while self._polls_run():
            if time.monotonic() > deadline:
                self._view.say(f"a poll still runs after {POLLED_TIMEOUT_S:g} s: what it publishes may be missing in the sum")
                break
            time.sleep(POLLED_EVERY_S)
        for part in self._parts:
            if part.name == "gbfs":
                part.stop()

    def _polls_run(self) -> bool:
        """Whether one does, as far as is known."""
        try:
            return bool(self.whisk.running("divvy-poll", "hort/divvy"))
        except (requests.RequestException, RuntimeError):
            return True

    def stop(self) -> None:
        """Stops what was started, last first."""
        if self._begun:
            self._view.say("stopping everything")
        if self._deployed and (self._given.get(BROKER) or self._given.get(STORE)):
            self._remove_feed()
        if self.plates is not None:
            self.plates.stop()
        for part in reversed(self._parts):
            part.stop()
        if self._elasticsearch is not None:
            self._elasticsearch.stop()
        if self._begun:
            self._quietly("stack", "down", "--state", str(self._options.state), env=self._given)
        state.empty(self._options.state, keys.MADE)

    def _remove_feed(self) -> None:
        """A broker or Redis of the user's keeps no session and no registration of a demo that is over."""
        if self._quietly("deploy", "--undeploy", "--apihost", self.whisk.api_host):
            time.sleep(float(self.env["HORT_GRACE_S"]) + 2)

    def dead_parts(self) -> list[processes.Process]:
        """Parts that ended by themselves."""
        return [part for part in self._parts if not part.alive()]

    def tend_services(self) -> None:
        """Starts a broker or Redis of ours that ended again, as Redis ends on a full disk, once there is room; says so once."""
        found = {name: records.load(self._options.state / "stack" / name) for name in TENDED}
        ended = [name for name, record in found.items() if record is not None and record.process() is None]
        trouble = ""
        if ended:
            free = shutil.disk_usage(self._options.state).free
            trouble = f"{' and '.join(ended)} ended" + (
                " by itself: it is started again"
                if free >= RESTART_FREE_BYTES
                else f": only {free / 1e6:.0f} MB are free for {self._options.state}; it is started again when there are {RESTART_FREE_BYTES / 1e6:.0f}"
            )
            if trouble.partition(":")[0] != self._service_trouble.partition(":")[0]:
                self._view.warn(trouble)
            if free >= RESTART_FREE_BYTES and time.monotonic() >= self._restart_at:
                self._restart_at = time.monotonic() + RESTARTED_EVERY_S
                self._quietly("stack", "up", *ended, "--state", str(self._options.state), env=self._given)
        self._service_trouble = trouble

    def _start_services(self) -> None:
        self._begun = True
        self._stack("up", "mosquitto", "redis")
        for line in (self._options.state / "stack.env").read_text().splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            if name in SERVICES:
                self.env[name] = value.strip("'\"")
        port = processes.free_port()
        argv = [str(ROOT / "scripts" / "stack"), "up", "elasticsearch", "--state", str(self._options.state)]
        argv += ["--elasticsearch-port", str(port)]
        self._elasticsearch = processes.start("elasticsearch", argv, logs=self._logs, env=self._given, ready=False)
        self.env[SEARCH] = self._given.get(SEARCH) or f"http://127.0.0.1:{port}"
        if self._given.get(SEARCH):  # one that does not answer is told at once
            self._await_elasticsearch()

    def _await_elasticsearch(self) -> None:
        part = self._elasticsearch
        if part is not None and part.popen.wait(READY_TIMEOUT_S * 3):
            raise processes.StartFailed(f"Elasticsearch did not start:\n{processes.tail(part.log)}")

    def _start_engine(self) -> None:
        wanted = PORT if self._options.port is None else self._options.port
        port = processes.free_port(wanted)
        if wanted not in (0, port):
            self._view.warn(f"port {wanted} is in use by another program, so the engine gets {port}: links elsewhere that name {wanted} lead to that program")
        limits = ["--limits", "raised", "--invocations-per-minute", str(INVOCATIONS_PER_MINUTE)]
        limits += ["--fires-per-minute", str(FIRES_PER_MINUTE), "--concurrent", "100", "--anonymous-per-minute", str(ANONYMOUS_PER_MINUTE)]
        argv = [str(ROOT / "scripts" / "whisk"), "serve", "--port", str(port), "--state", str(self._options.state / "engine"), *limits]
        if self._options.plates:
            self.plates = Plates(logs=self._logs, env=self.env, tell=self._view.say)
            argv += ["--map-image", self.plates.mapping]
        key = self.env[keys.AUTH]
        engine = self._start("engine", argv, env={**self._given, "LOCALWHISK_IDENTITY": f"guest={key}"})  # no secret of the suite's
        self.whisk = Whisk(engine.address if "//" in engine.address else f"http://127.0.0.1:{port}", key)

    def _start_provider(self) -> None:
        self.env |= {"HORT_API_HOST": self.whisk.api_host, "HORT_ALARMS_PACKAGE": "", "HORT_PROVIDER_HOST": "127.0.0.1", "HORT_PROVIDER_PORT": "0"}
        provider = self._start("provider", [sys.executable, "-m", "feeds.provider"])
        self.provider_url = provider.address
        self.env["HORT_PROVIDER_URL"] = provider.address

    def _deploy(self) -> None:
        if self._options.city:
            self.env.pop("HORT_GBFS_URL", None)  # an alarm between the deployment and the rule's end would poll what does not serve yet
        self._deployed = True
        self._script("deploy", "--apihost", self.whisk.api_host, "--no-look")
        self.whisk.set_rule("poll-to-divvy", active=False)  # there is nothing to poll yet, or ever

    def _register_models(self) -> None:
        for name, what in MODELS:
            url = self.whisk.web(f"{name}-model") + (OF_BIKES if self._options.city and name == "anomaly" else "")
            self.whisk.put_model(name, {"url": url, "protocol": "instances", "description": what, **PATIENT})
            self.whisk.warm(f"{name}-model")
        self.whisk.invoke("hort/poll-models")

    def _serve_gbfs(self) -> None:
        options = self._options
        argv = [str(ROOT / "scripts" / "gbfs"), "serve", "--port", str(self._gbfs_port)]
        if options.replay:
            self.whisk.set_alarm("divvy-poll", _cron(RECORDED_TTL_S / options.speed))
            argv += ["--replay", str(options.replay), "--speed", f"{options.speed:g}", "--loop"]
        else:
            argv += ["--simulate", str(options.stations)]
        self._start("gbfs", argv)

    def _start(self, name: str, argv: list[str], *, env: dict[str, str] | None = None) -> processes.Process:
        part = processes.start(name, argv, logs=self._logs, env=env or self.env)
        self._parts.append(part)
        return part

    def _stack(self, verb: str, *services: str) -> None:
        """Runs with the user's own environment: the addresses of our services in it would say that they are not ours."""
        self._script("stack", verb, *services, "--state", str(self._options.state), env=self._given)

    def _script(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        code = processes.run([str(ROOT / "scripts" / name), *arguments], log=log, env=env or self.env)
        if code:
            raise processes.StartFailed(f"./scripts/{name} {arguments[0]} failed ({code}):\n{processes.tail(log)}")

    def _quietly(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> bool:
        try:
            self._script(name, *arguments, env=env)
        except processes.StartFailed as error:
            self._view.say(str(error))
            return False
        return True


def _cron(period_s: float) -> str:
    """The six-field pattern nearest to a period, from one second to a minute."""
    seconds = max(1, min(60, round(period_s)))
    return "0 * * * * *" if seconds == 60 else f"*/{seconds} * * * * *"
