"""All parts of one engine put together, and its life from start to close."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localwhisk import messages
from localwhisk.access import Access
from localwhisk.activations import Activation, ActivationStore
from localwhisk.catalog import Catalog
from localwhisk.clock import Clock, now_ms
from localwhisk.conductors import Conductors
from localwhisk.entities import Action, Package
from localwhisk.identity import Identities
from localwhisk.invoker import Invoker, Listener, NativeAction
from localwhisk.limits import STOCK, Limits
from localwhisk.retention import Pruner, Retention
from localwhisk.runtime_api import Runtimes
from localwhisk.sequences import Sequences
from localwhisk.store import Store
from localwhisk.throttle import Throttle

log = logging.getLogger("localwhisk.engine")
DRAIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtins:
    """Entities that are part of the engine, and the code of their actions."""

    packages: tuple[Package, ...] = ()
    actions: tuple[Action, ...] = ()
    native: Mapping[str, NativeAction] = field(default_factory=dict)


class Engine:
    """One OpenWhisk: state folder, limits, identities, runtimes.

    `start` before the first request, `close` at the end; both in the event loop that serves.
    """

    def __init__(
        self,
        *,
        folder: Path,
        runtimes: Runtimes,
        limits: Limits = STOCK,
        own_limits: Mapping[str, Limits] | None = None,
        identities: Identities | None = None,
        retention: Retention | None = None,
        clock: Clock = now_ms,
        listener: Listener | None = None,
    ) -> None:
        self.limits = limits
        self.identities = identities or Identities()
        self.clock = clock
        self.runtimes = runtimes
        self.store = Store(folder)
        self.catalog = Catalog(self.store, clock=clock)
        self.access = Access(self.catalog)
        self.activations = ActivationStore(self.store)
        self.throttle = Throttle(limits, own=own_limits, clock=clock)
        self.invoker = self._invoker(listener)
        self._pruner = Pruner(self.store, retention or Retention(), clock=clock)
        self._pruning: asyncio.Task[None] | None = None

    def install(self, builtins: Builtins) -> None:
        """Add built-in packages and actions; call before `start`."""
        self.catalog.add_builtins(*builtins.packages, *builtins.actions)
        self.invoker.native = {**self.invoker.native, **builtins.native}

    async def start(self) -> None:
        """Load the state, end what a crash left open, start the runtimes."""
        self.catalog.load()
        self.store.start()
        await self._end_lost()
        await self.runtimes.start()
        self._pruning = asyncio.create_task(self._pruner.run())

    async def close(self, *, drain_s: float = DRAIN_S) -> None:
        """Let what runs finish for `drain_s`, then stop everything."""
        if self._pruning is not None:
            self._pruning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pruning
        await self.invoker.drain(drain_s)
        await self.runtimes.drain(0.0)
        await self.runtimes.close()
        await self.invoker.drain(1.0)
        await asyncio.to_thread(self.store.close)

    def _invoker(self, listener: Listener | None) -> Invoker:
        invoker = Invoker(
            catalog=self.catalog,
            access=self.access,
            store=self.store,
            throttle=self.throttle,
            runtimes=self.runtimes,
            limits=self.limits,
            clock=self.clock,
        )
        invoker.composers = {"sequence": Sequences(invoker), "conductor": Conductors(invoker)}
        if listener is not None:
            invoker.listener = listener
        return invoker

    async def _end_lost(self) -> None:
        """Activations the last run did not end become errors; none stays open."""
        lost = self.activations.left_running()
        for marks in lost:
            await self.store.write(*self._lost(marks).statements())
        if lost:
            log.warning("%d activations were running when the engine stopped; they end as errors", len(lost))

    def _lost(self, marks: dict[str, Any]) -> Activation:
        end = max(self.clock(), marks["start"])
        return Activation(
            **marks,
            end=end,
            duration=end - marks["start"],
            status="whisk internal error",
            result={"error": messages.RUN_LOST},
        )
