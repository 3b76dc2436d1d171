"""`./scripts/provider`: the service behind the feed `hort/mqtt`. Settings come from the environment, see settings.py."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import uvicorn

from feeds.provider import api, service, settings, suite_metrics
from feeds.provider.alarms import Alarms, AlarmStore
from feeds.provider.connections import Connection, Places, room
from feeds.provider.leases import RedisLeases
from feeds.provider.log import log, relay
from feeds.provider.meters import Meters
from feeds.provider.registrations import RedisRegistrations
from feeds.provider.suite_metrics import SuiteMetrics
from feeds.provider.supervisor import Supervisor
from feeds.provider.tally import Tally
from feeds.provider.vault import Vault
from feeds.provider.whisk import HttpWhisk
from hort import clock, store
from hort.counters import RedisCounters
from hort.errors import ConfigError
from hort.journal import RedisJournal

GRACEFUL_S = 2
GC_THRESHOLD = 50_000


class Server(uvicorn.Server):
    """uvicorn without its habit of raising the signal again at the end: there is more to stop than HTTP."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Lets SIGTERM and SIGINT end `run`."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def main() -> int:
    """Runs until SIGTERM or SIGINT; 2 where the settings are wrong."""
    options = _options()
    try:
        config = settings.read({"provider_port": options.port, "provider_host": options.host})
    except ConfigError as error:
        print(f"feeds.provider: {error}", file=sys.stderr)
        return 2
    # Messages are tracked by reference counts alone; a collection that walks a whole batch of them finds nothing.
    gc.set_threshold(GC_THRESHOLD, 20, 20)
    try:
        listener = socket.create_server((config.host, config.port), reuse_port=False)
    except OSError as error:
        print(f"feeds.provider: {config.host}:{config.port} cannot be listened on: {error.strerror}; --port or HORT_PROVIDER_PORT names another", file=sys.stderr)
        return 2
    host, port = listener.getsockname()[:2]
    relay("localwhisk")
    server, supervisor, alarms = _build(config)
    supervisor.start()
    alarms.start()
    if options.ready_file:
        _ready(options.ready_file, f"http://{host}:{port}")
    log("started", address=f"http://{host}:{port}", pid=os.getpid())
    try:
        server.run(sockets=[listener])
    finally:
        alarms.stop()
        supervisor.stop()
        log("stopped", pid=os.getpid())
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./scripts/provider", description=__doc__)
    parser.add_argument("--host", help="address to listen on (HORT_PROVIDER_HOST)")
    parser.add_argument("--port", help="port to listen on, 0 for any (HORT_PROVIDER_PORT)")
    parser.add_argument("--ready-file", type=Path, help="file that gets the service's address when it listens")
    return parser.parse_args()


def _build(config: settings.Settings) -> tuple[Server, Supervisor, Alarms]:
    client, steady = store.client(config.redis_url), clock.Steady()
    meters, whisk = Meters(), HttpWhisk(insecure=config.api_insecure)
    meters.add(SuiteMetrics(suite_metrics.client(config.redis_url)))
    vault = Vault(config.key)
    registrations = RedisRegistrations(client, vault)
    works = service.RedisWorks(
        client, RedisJournal(client), registrations, whisk, clock=clock.now_ms, steady=steady, meters=meters
    )
    leases = RedisLeases(client, f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}")
    tally = Tally(meters, RedisCounters(client))
    supervisor = Supervisor(
        registrations, leases, works, clock=clock.now_ms, steady=steady, meters=meters, tally=tally.flush
    )
    alarms = Alarms(AlarmStore(client, vault), leases, whisk, api_host=config.api_host, clock=clock.now_ms, meters=meters)
    lifecycle = service.Lifecycle(
        registrations, whisk, api_host=config.api_host, clock=clock.now_ms, changed=supervisor.wake
    )

    def health() -> dict[str, object]:
        now = steady()
        problems = {"supervisor": supervisor.problem, "alarms": alarms.problem}
        facts = service.health(problems, last_tick_ms=supervisor.last_tick_ms, now=now, client=client)
        locked = [row["triggerName"] for row in registrations.locked().values()] if facts["ok"] else []
        return {**facts, "locked": locked, "serving": {runner.registration.trigger: runner.facts() for runner in supervisor.runners.values()}}

    app = api.application(lifecycle, alarms=alarms, secret=config.secret, meters=meters, health=health)
    return Server(_uvicorn(app)), supervisor, alarms


def _uvicorn(app: object) -> uvicorn.Config:
    most = room()
    return uvicorn.Config(
        app,  # type: ignore[arg-type] # Starlette is an ASGI application; uvicorn spells the type its own way
        loop="asyncio",
        http=partial(Connection, places=Places(most)),  # type: ignore[arg-type] # whatever makes a protocol; uvicorn only calls it
        lifespan="off",
        backlog=most,  # asyncio takes as many in at once before any other can go: never more than there are files
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACEFUL_S,
    )


def _ready(path: Path, address: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(address + "\n", encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
