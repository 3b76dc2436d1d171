"""Start, stop and look at the services of one state folder."""

import contextlib
import fcntl
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lib.stack import ports, records
from lib.stack.errors import StackError
from lib.stack.privileges import hand_over, unprivileged
from lib.stack.probes import NOTHING, PROBES
from lib.stack.process import launch, resident_bytes
from lib.stack.progress import Progress
from lib.stack.services import SERVICES, Service
from lib.state import MARK

OWN_SERVER_WAIT_S = 10.0
LOG_LIMIT_BYTES = 5_000_000
START_ATTEMPTS = 3
ONLY_MINE = 0o600


@dataclass(frozen=True)
class Status:
    """A service now: `state` is running, starting, stopped, own server, or own server unreachable."""

    name: str
    state: str
    url: str | None
    port: int | None
    pid: int | None
    memory_bytes: int
    reason: str | None

    @property
    def ready(self) -> bool:
        """Tell whether the service can be used."""
        return self.state in ("running", "own server")


class Stack:
    """The services whose data lie under one state folder.

    Args:
        state: the state folder.
        own: addresses of the user's own servers by variable name, and what they ask for; such a service is checked and never started or stopped.
    """

    def __init__(self, *, state: Path, own: Mapping[str, str]) -> None:
        self._state = state
        self._given = own
        self._own = {
            service.name: own[service.variable] for service in SERVICES.values() if own.get(service.variable)
        }
        self._progress = Progress()

    # ---- commands

    def up(self, names: list[str], *, given: Mapping[str, int | None], strict: bool) -> None:
        """Start what does not run and wait until all answer; on failure or Ctrl-C stop what this call started."""
        with self._locked():
            begun: list[str] = []
            try:
                for service in (SERVICES[name] for name in names if name not in self._own):
                    if self._begin(service, given=given.get(service.name), strict=strict):
                        begun.append(service.name)  # noqa: PERF401 (what has begun must be known when the next one fails)
                for name in names:
                    self._await(SERVICES[name], given=given.get(name), strict=strict)
            except BaseException:
                self._progress.done()
                self._stop(begun)
                raise
            self._write_environment()

    def down(self, names: list[str]) -> None:
        """Stop what runs, all at a time, and wait until it is gone."""
        with self._locked():
            self._stop([name for name in names if name not in self._own])

    def status(self, names: list[str]) -> list[Status]:
        """Look at each service: is its process there, and does it answer."""
        with ThreadPoolExecutor(max_workers=len(SERVICES)) as pool:
            return list(pool.map(self._status, names))

    # ---- start

    def _begin(self, service: Service, *, given: int | None, strict: bool) -> bool:
        folder = self._folder(service.name)
        before = records.load(folder)
        if before and before.process():
            if given is not None and given != before.port:
                raise StackError(
                    f"{service.name} runs on port {before.port}; stop it first to have it on port {given}"
                )
            return False
        self._own_folder(folder)
        port = ports.choose(
            service=service.name, given=given, remembered=before.port if before else None, strict=strict
        )
        if before and before.port != port and given is None:
            self._progress.line(f"  {service.name}: port {before.port} is taken now, so it gets port {port}")
        command = service.prepare(folder, port)
        hand_over(folder)
        log = self._log(service.name)
        process = launch(
            unprivileged(command.argv, folders=command.reach), log=log, cwd=folder, extra=command.extra
        )
        pid_file = str(command.pid_file) if command.pid_file else None
        record = records.Record(
            port=port, pid=process.pid, started=process.started, boot=records.boot_id(), pid_file=pid_file
        )
        records.save(folder, record)
        if command.pid_file is None:
            (folder / f"{service.name}.pid").write_text(f"{process.pid}\n", encoding="ascii")
        return True

    def _await(self, service: Service, *, given: int | None, strict: bool) -> None:
        if service.name in self._own:
            self._await_own(service)
            return
        for attempt in range(1, START_ATTEMPTS + 1):
            if self._ready(service):
                return
            # Another program may have taken the port between our look and the server's bind; a given port is not changed.
            if given is not None or strict or attempt == START_ATTEMPTS or not self._lost_port(service.name):
                break
            (self._folder(service.name) / "service.json").unlink(missing_ok=True)
            self._begin(service, given=None, strict=False)
        raise StackError(
            f"{service.name} ended while it was starting; its last words (all in {self._log(service.name)}):\n{self._tail(service.name)}"
        )

    def _ready(self, service: Service) -> bool:
        """Wait for a service to answer; False when its process has ended."""
        folder, deadline = self._folder(service.name), time.monotonic() + service.start_s
        reason: str | None = "not started"
        while time.monotonic() < deadline:
            record = records.load(folder)
            if record is None or record.process() is None:
                time.sleep(0.2)  # a server that forks away is between two pids for a moment
                record = records.load(folder)
                if record is None or record.process() is None:
                    return False
            reason = PROBES[service.name](service.url(record.port), NOTHING)
            if reason is None and not self._forking(record):
                records.save(folder, record)
                for path in filter(Path.exists, map(folder.joinpath, service.opened)):
                    path.chmod(ONLY_MINE)
                self._progress.line(f"  {service.name}: ready at {service.url(record.port)}")
                return True
            self._progress.waiting(service.name)
            time.sleep(0.1)
        raise StackError(
            f"{service.name} is not ready after {service.start_s:.0f} s: {reason}; see {self._log(service.name)}"
        )

    def _await_own(self, service: Service) -> None:
        url, deadline = self._own[service.name], time.monotonic() + OWN_SERVER_WAIT_S
        while (reason := PROBES[service.name](url, self._given)) is not None:
            if time.monotonic() > deadline:
                raise StackError(f"{service.variable} ({masked(url)}) does not answer as it should: {reason}")
            self._progress.waiting(f"your own {service.name}")
            time.sleep(0.5)
        self._progress.line(f"  {service.name}: your own at {masked(url)}")

    @staticmethod
    def _forking(record: records.Record) -> bool:
        return record.pid_file is not None and not Path(record.pid_file).exists()

    def _lost_port(self, name: str) -> bool:
        record = records.load(self._folder(name))
        return record is not None and not ports.is_free(record.port)

    # ---- stop

    def _stop(self, names: list[str]) -> None:
        if names:
            with ThreadPoolExecutor(max_workers=len(SERVICES)) as pool:
                list(pool.map(self._stop_one, names))

    def _stop_one(self, name: str) -> None:
        # Twice, since a server that forks away may do so between the look and the signal.
        for _ in range(2):
            record = records.load(self._folder(name))
            process = record.process() if record else None
            if process is None:
                return
            gently = process.stop(grace=SERVICES[name].grace_s)
            note = (
                "stopped" if gently else f"killed, as it did not stop within {SERVICES[name].grace_s:.0f} s"
            )
            self._progress.line(f"  {name}: {note}")

    # ---- look

    def _status(self, name: str) -> Status:
        if name in self._own:
            reason = PROBES[name](self._own[name], self._given)
            state = "own server" if reason is None else "own server unreachable"
            return Status(name, state, masked(self._own[name]), None, None, 0, reason)
        record = records.load(self._folder(name))
        process = record.process() if record else None
        if record is None or process is None:
            return Status(name, "stopped", None, record.port if record else None, None, 0, None)
        url = SERVICES[name].url(record.port)
        reason = PROBES[name](url, NOTHING)
        state = "running" if reason is None else "starting"
        return Status(name, state, url, record.port, process.pid, resident_bytes(process.pid), reason)

    # ---- files

    @staticmethod
    def _own_folder(folder: Path) -> None:
        """Make a service's folder, for its user alone; one that somebody else filled is not handed over to a server."""
        mark = folder / MARK
        if folder.exists() and next(folder.iterdir(), None) and not (mark.exists() or (folder / "service.json").exists()):
            raise StackError(f"{folder} holds files that are not ours: name another folder with --state")
        (folder / "data").mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        mark.touch()

    def _folder(self, name: str) -> Path:
        return self._state / "stack" / name

    def _log(self, name: str) -> Path:
        log = self._folder(name) / f"{name}.log"
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        return log

    def _tail(self, name: str, lines: int = 15) -> str:
        try:
            return "\n".join(
                self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
            )
        except OSError:
            return "(no log)"

    def _write_environment(self) -> None:
        lines = []
        for service in SERVICES.values():
            record = records.load(self._folder(service.name))
            url = self._own.get(service.name) or (service.url(record.port) if record else None)
            if url:
                lines.append(f"{service.variable}={shlex.quote(url)}\n")
        draft = self._state / "stack.env.new"
        with open(
            draft, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)
        ) as out:
            out.writelines(lines)
        draft.replace(self._state / "stack.env")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._state / "stack.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                self._progress.line(f"  waiting for scripts/stack (process {lock.read().strip() or 'unknown'}) over {self._state}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield


def masked(url: str) -> str:
    """Return an address without its password."""
    scheme, separator, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{separator}{user.partition(':')[0]}:***@{host}" if at and ":" in user else url
