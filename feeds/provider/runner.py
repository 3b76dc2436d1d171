"""One registration at work: an intake thread and a firing thread, started and stopped together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import redis

from feeds.provider.connection import Connect
from feeds.provider.firing import Firing
from feeds.provider.intake import Intake
from feeds.provider.ledger import Ledger
from feeds.provider.link import Stream, Subscriptions
from feeds.provider.log import log
from feeds.provider.meters import Meters
from feeds.provider.pace import Gate, Pace
from feeds.provider.registrations import Registration
from feeds.provider.whisk import Outcome, Target, Whisk
from hort import keys
from hort.errors import Fenced
from hort.journal import Journal

STOP_TIMEOUT_S = 8.0
FAILURE_PAUSE_S = 1.0
LOOK_S = 0.01


class Runner:
    """Serves a registration until it is stopped or another provider is found to own it (`fenced`)."""

    def __init__(
        self,
        registration: Registration,
        *,
        ledgers: list[Ledger],
        subscriptions: Subscriptions,
        journal: Journal,
        whisk: Whisk,
        connect: Connect,
        clock: Callable[[], int],
        steady: Callable[[], int],
        meters: Meters,
        switch_off: Callable[[Registration, Outcome], None],
    ) -> None:
        self.registration = registration
        self.fenced = False
        config = registration.config
        self._meters = meters
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._flush = True
        self.gate = Gate(
            Pace(config.max_fires_per_minute), config.max_unacked, config.max_journal_batches, config.max_journal_bytes
        )
        self.gate.firing = registration.active and registration.deleted_at is None
        self.journals = [keys.journal(partition, registration.id) for partition in range(registration.width)]
        self.intake = Intake(
            Stream(registration.id, registration.trigger, registration.client_id),
            config,
            ledgers=ledgers,
            subscriptions=subscriptions,
            gate=self.gate,
            connect=connect,
            clock=clock,
            steady=steady,
            meters=meters,
            put=self._wake.set,
            pause=self._stopping.wait,
        )
        self.firing = Firing(
            registration.target,
            config,
            journal=journal,
            journals=self.journals,
            whisk=whisk,
            gate=self.gate,
            clock=clock,
            steady=steady,
            meters=meters,
            switch_off=self._refused,
        )
        self._switch_off = switch_off
        self._update: Registration | None = None
        self._generation = registration.generation
        """Of the configuration that the intake goes by."""
        self._threads = [
            threading.Thread(target=self._take_in, name=f"intake-{registration.id}", daemon=True),
            threading.Thread(target=self._fire, name=f"firing-{registration.id}", daemon=True),
        ]

    @property
    def alive(self) -> bool:
        """Whether both threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, flush: bool = True) -> None:
        """Ends the threads within seconds; journals and acknowledges what is in memory if told so."""
        self._flush = flush
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(STOP_TIMEOUT_S)

    def can_take(self, new: Registration) -> bool:
        """Whether a changed registration can go on over the same session and connection."""
        old = self.registration
        same = old.client_id == new.client_id and old.config.session() == new.config.session()
        return same and old.config.partitions == new.config.partitions

    def take(self, new: Registration) -> None:
        """Goes on with a changed registration; the intake sees it in its own thread."""
        config = new.config
        self.registration = new
        gate = self.gate
        if gate.pace.per_minute != config.max_fires_per_minute:
            gate.pace = Pace(config.max_fires_per_minute)
        gate.max_unacked, gate.not_before = config.max_unacked, 0
        gate.max_batches, gate.max_bytes = config.max_journal_batches, config.max_journal_bytes
        self.firing.take(new.target, config, firing=new.active and new.deleted_at is None)
        self._update = new
        self._wake.set()

    def facts(self) -> dict[str, Any]:
        """What others may know of it now."""
        gate = self.gate
        return {
            "generation": self._generation,
            "connected": self.intake.connected,
            "subscribed": self.intake.link.complete,
            "problem": self.intake.link.problem,
            "refused": self.intake.link.refused,
            "hold": "no active rule" if self.firing.held else "",
            "batches": gate.batches,
            "bytes": gate.bytes,
            "in_flight": gate.in_flight,
            "fires": self.firing.fires,
            "refires": self.firing.refires,
            "waiting": self.intake.waiting,
            "full": gate.full,
            "held_back_since": self.intake.holding.since_ms,
            "stuck": gate.stuck,
        }

    def _refused(self, target: Target, outcome: Outcome) -> None:
        registration = self.registration
        if registration.target is target:
            self._switch_off(registration, outcome)

    def _take_in(self) -> None:
        try:
            self._open()
            while not self.gate.known and not self._stopping.wait(LOOK_S):
                pass  # what an earlier owner left may fill the journal
            while not self._stopping.is_set():
                self._intake_step()
            self.intake.stop(flush=self._flush and not self.fenced)
        except Fenced as error:
            self.fenced = True
            self.intake.stop(flush=False)
            log("fenced", error=error, trigger=self.registration.trigger)
        except redis.RedisError as error:
            facts = {"trigger": self.registration.trigger, "messages": self.intake.waiting}
            log("stop-unflushed", error=f"{type(error).__name__}: the broker sends again what it has no ack of", **facts)

    def _open(self) -> None:
        while not self._stopping.is_set():
            try:
                self.intake.open()
                return
            except Fenced:
                raise
            except Exception as error:  # noqa: BLE001 - Redis away, or what an earlier owner left is odd: tried again, and told
                self._failed("open", error)

    def _intake_step(self) -> None:
        if self._update is not None:
            new, self._update = self._update, None
            self.intake.update(new.config)
            self._generation = new.generation
        try:
            self.intake.step()
        except Fenced:
            raise
        except Exception as error:  # noqa: BLE001 - a feed survives what nobody foresaw, and says so
            self._failed("intake", error)

    def _fire(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                wait_ms = self.firing.step()
            except Exception as error:  # noqa: BLE001 - likewise; Redis being away ends up here too
                self._failed("firing", error)
                continue
            if wait_ms > 0:
                self._wake.wait(wait_ms / 1000)

    def _failed(self, part: str, error: Exception) -> None:
        self._meters.errors.labels(self.registration.trigger, part).inc()
        log("survived", error=f"{type(error).__name__}: {error}", part=part, trigger=self.registration.trigger)
        self._stopping.wait(FAILURE_PAUSE_S)
