"""Keeps the right registrations running here: leases, changes, deletions whose grace is over.

The supervisor's own thread does only what is quick, so that leases are renewed in time. What waits for threads or brokers
(stopping, ending a session) is done by a few workers; meanwhile the registration is under way, and its lease is still renewed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import redis

from feeds.provider.graces import Graces
from feeds.provider.leases import Leases
from feeds.provider.log import log
from feeds.provider.meters import NONE, Meters
from feeds.provider.pace import Backoff
from feeds.provider.registrations import Registration, Registrations, switched
from feeds.provider.runner import Runner
from feeds.provider.whisk import Outcome

TICK_S = 1.0
REPORT_TTL_S = 20
WORKERS = 8
RETRY_MS = (1_000, 60_000)


class Works(Protocol):
    """Builds what a registration needs, and takes it down for good."""

    def runner(self, registration: Registration, token: int, switch_off: Callable[[Registration, Outcome], None]) -> Runner:
        """A runner that is not started."""

    def purge(self, registration: Registration, token: int) -> int:
        """Ends the MQTT session and drops the journal; how many unstored batches and spooled pieces were in it.

        May be repeated. Fenced where another provider has a newer token.
        """

    def forget(self, registration: Registration, token: int) -> None:
        """Drops the fence of a feed that is gone, where the token is the newest."""

    def end_session(self, registration: Registration) -> None:
        """Makes the broker forget the session."""


@dataclass(frozen=True, slots=True)
class _Work:
    """A registration under way, and the runner that is being stopped, if any."""

    runner: Runner | None
    flush: bool
    done: Future[None]


@dataclass(slots=True)
class _Later:
    """A registration that could not begin or end here: tried again at a time of the steady clock, or once it is changed."""

    generation: int
    backoff: Backoff
    at: int = 0


class Supervisor:
    """Ticks in a thread of its own; `wake` makes it look at once. `last_tick_ms` is of the steady clock."""

    def __init__(
        self,
        registrations: Registrations,
        leases: Leases,
        works: Works,
        *,
        clock: Callable[[], int],
        steady: Callable[[], int],
        meters: Meters,
        tally: Callable[[], None] = lambda: None,
    ) -> None:
        self._registrations = registrations
        self._leases = leases
        self._works = works
        self._clock = clock
        self._steady = steady
        self._graces = Graces(clock=clock, steady=steady)
        self._meters = meters
        self._tally = tally
        self._runners: dict[str, Runner] = {}
        self._tokens: dict[str, int] = {}
        self._under_way: dict[str, _Work] = {}
        self._later: dict[str, _Later] = {}
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="supervisor-work")
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self.last_tick_ms = 0
        self.problem = "has not begun"

    @property
    def runners(self) -> dict[str, Runner]:
        """What runs here, by registration."""
        return dict(self._runners)

    def start(self) -> None:
        """Starts ticking."""
        self._thread.start()

    def wake(self) -> None:
        """Something changed."""
        self._wake.set()

    def stop(self) -> None:
        """Stops everything, in parallel, and gives the leases up."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)
        stops = [(runner, True) for runner in self._runners.values()]
        stops += [(work.runner, work.flush) for work in self._under_way.values() if work.runner is not None]
        stoppers = [threading.Thread(target=runner.stop, kwargs={"flush": flush}) for runner, flush in stops]
        for thread in stoppers:
            thread.start()
        for thread in stoppers:
            thread.join()
        try:
            for registration in list(self._tokens):
                self._leases.release(registration)
            self._leases.leave()
            self._tally()
        except redis.RedisError as error:
            log("release-failed", error=type(error).__name__)

    def tick(self) -> None:
        """One look at everything; RedisError where Redis is away, and then everything goes on as it is."""
        self._settle()  # first: what was taken down before is then gone from what is read, too
        registrations = self._registrations.all()
        alive = max(1, self._leases.beat())
        share = -(-len(registrations) // alive)
        self._renew(registrations)
        self._acquire(registrations, share)
        if len(self._runners) > share:
            self._let_go(next(iter(self._runners.values())).registration)
        for name, runner in list(self._runners.items()):
            self._tend(runner, registrations[name])
        for name in set(self._later) - set(registrations):  # in place: a purge that fails meanwhile puts its feed off, too
            self._later.pop(name, None)
        self._graces.keep(registrations)
        self._meters.forget({registration.trigger for registration in registrations.values()})
        self._meters.unreadable.set(self._registrations.unreadable)
        self._tally()
        self.last_tick_ms, self.problem = self._steady(), ""

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001 - the service goes on, and health tells; Redis being away ends up here too
                self.problem = f"{type(error).__name__}: {error}"
                self._meters.errors.labels(NONE, "tick").inc()
                log("tick-failed", error=self.problem)
            self._wake.wait(TICK_S)

    # -- leases -------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """What the workers have finished is free for all: also who goes on here takes the lease anew, and its token fences whatever still hangs."""
        for name, work in list(self._under_way.items()):
            if work.done.done():
                self._leases.release(name)
                self._tokens.pop(name, None)
                del self._under_way[name]

    def _renew(self, registrations: dict[str, Registration]) -> None:
        for name, token in list(self._tokens.items()):
            runner = self._runners.get(name)
            held = self._leases.renew(name, token)
            if name in self._under_way:
                continue
            if runner is None and (not held or name not in registrations):
                self._leases.release(name)
                del self._tokens[name]
            elif runner is not None and name not in registrations:
                self._leave(runner.registration, token)
            elif runner is not None and (runner.fenced or not runner.alive or not held):
                reason = "fenced" if runner.fenced else "taken" if runner.alive else "thread-died"
                self._meters.leases_lost.labels(runner.registration.trigger, reason).inc()
                log("lease-lost", error="another provider serves it", trigger=runner.registration.trigger, reason=reason)
                self._let_go(runner.registration, flush=False)

    def _acquire(self, registrations: dict[str, Registration], share: int) -> None:
        for name, registration in registrations.items():
            if name in self._runners or name in self._under_way or self._waits(registration):
                continue
            if name not in self._tokens:
                token = self._leases.acquire(name) if len(self._tokens) < share else None
                if token is None:
                    continue
                self._tokens[name] = token
                log("serving", trigger=registration.trigger, registration=name, token=token)
            self._begin(registration)

    def _begin(self, registration: Registration) -> None:
        name = registration.id
        if self._graces.over(registration):
            self._purge(registration)
            return
        try:
            runner = self._runners[name] = self._works.runner(registration, self._tokens[name], self._switch_off)
            runner.start()
        except Exception as error:  # noqa: BLE001 - a bad certificate, no descriptors or threads: one feed's trouble stays its own
            self._put_off(registration, type(error).__name__)
            return
        self._later.pop(name, None)
        self._mark(registration)

    def _waits(self, registration: Registration) -> bool:
        later = self._later.get(registration.id)
        return later is not None and later.generation == registration.generation and self._steady() < later.at

    def _back_off(self, registration: Registration) -> int:
        later = self._later.get(registration.id)
        if later is None or later.generation != registration.generation:
            later = self._later[registration.id] = _Later(registration.generation, Backoff(RETRY_MS))
        wait = later.backoff.next_ms()
        later.at = self._steady() + wait
        return wait

    def _put_off(self, registration: Registration, error: str) -> None:
        """The registration is left to others, and tried again."""
        name, wait = registration.id, self._back_off(registration)
        self._meters.errors.labels(registration.trigger, "begin").inc()
        log("not-begun", error=error, trigger=registration.trigger, retry_in_ms=wait)
        if name in self._runners:
            self._let_go(registration, flush=False)
        else:
            self._leases.release(name)
            del self._tokens[name]
            self._meters.ended(registration.trigger)
        self._registrations.report(name, {"problem": f"cannot begin: {error}"}, ttl_s=REPORT_TTL_S + wait // 1000)

    # -- what takes time ----------------------------------------------------------------------------------------

    def _let_go(self, registration: Registration, *, flush: bool = True, then: Callable[[], None] = lambda: None) -> None:
        """Stops the runner and does what follows, in a worker; then the lease is released."""
        runner = self._runners.pop(registration.id, None)

        def work() -> None:
            try:
                if runner is not None:
                    runner.stop(flush=flush)
                then()
            except Exception as error:  # noqa: BLE001 - told; the registration is served or taken down again
                self._meters.errors.labels(registration.trigger, "supervisor").inc()
                log("work-failed", error=f"{type(error).__name__}: {error}", trigger=registration.trigger)
                self._back_off(registration)
            self._meters.ended(registration.trigger)

        done = self._pool.submit(work)
        done.add_done_callback(lambda _done: self.wake())
        self._under_way[registration.id] = _Work(runner, flush, done)

    def _tend(self, runner: Runner, registration: Registration) -> None:
        name = registration.id
        if self._graces.over(registration):
            self._purge(registration)
            return
        if registration.generation != runner.registration.generation and not self._change(runner, registration):
            return
        self._meters.connected.labels(registration.trigger).set(runner.intake.connected)
        self._registrations.report(name, runner.facts(), ttl_s=REPORT_TTL_S)

    def _change(self, runner: Runner, registration: Registration) -> bool:
        """Whether the runner goes on with the changed registration; else another one takes its place."""
        old = runner.registration
        if runner.can_take(registration):
            runner.take(registration)
            self._mark(registration)
            return True
        moved = old.session != registration.session
        self._let_go(old, then=lambda: self._give_up(old, registration) if moved else None)
        return False

    def _give_up(self, old: Registration, new: Registration) -> None:
        """Ends the session that nobody will use any more; how many messages wait in it MQTT cannot tell."""
        (host, client_id), reason = old.session, "client-id" if old.session[0] == new.session[0] else "host"
        self._meters.sessions_given_up.labels(old.trigger, reason).inc()
        text = "what the broker still keeps for the old session is given up"
        log("session-given-up", error=text, trigger=old.trigger, host=host, client_id=client_id, reason=reason)
        self._works.end_session(old)

    def _purge(self, registration: Registration) -> None:
        """Takes a deleted feed down, and forgets it when that is done: who is killed before is followed by another one."""
        token = self._tokens[registration.id]

        def over(now: Registration | None) -> bool:
            return now is not None and self._graces.over(now)

        def drop() -> None:
            found = self._registrations.get(registration.id)
            if found is None:  # another one took it down just before this one took its lease
                self._works.forget(registration, token)
            if not over(found):
                return
            dropped = self._works.purge(registration, token)
            self._meters.dropped.labels(registration.trigger).inc(dropped)
            if self._registrations.change(registration.id, lambda now: None if over(now) else now) is None:
                log("removed", trigger=registration.trigger, dropped_batches=dropped)

        self._let_go(registration, flush=False, then=drop)

    def _leave(self, registration: Registration, token: int) -> None:
        """Lets go of a feed that is gone, or cannot be read any more; its session is not ended, since Redis may have lost what it knew."""

        def forget() -> None:
            if self._registrations.get(registration.id) is None:
                self._works.forget(registration, token)

        self._let_go(registration, then=forget)

    def _switch_off(self, registration: Registration, outcome: Outcome) -> None:
        text = f"Automatically disabled after receiving a {outcome.status} status code when firing the trigger."
        message = f"{text} {outcome.message}".strip()
        reason: dict[str, Any] = {"kind": "AUTO", "statusCode": outcome.status, "message": message}

        def edit(now: Registration | None) -> Registration | None:
            if now is None or now.generation != registration.generation:
                return now
            return switched(now, active=False, reason=reason, now=self._clock())

        after = self._registrations.change(registration.id, edit)
        if after is not None and after.reason is reason:
            self._meters.disables.labels(registration.trigger, str(outcome.status)).inc()
            log("disabled", error=message, trigger=registration.trigger, status=outcome.status)
        self.wake()

    def _mark(self, registration: Registration) -> None:
        kind = (registration.reason or {}).get("kind", "")
        for label in ("AUTO", "ADMIN"):
            self._meters.disabled.labels(registration.trigger, label).set(not registration.active and kind == label)
