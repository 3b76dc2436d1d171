"""Runs activations: one action, or through `sequences` and `conductors` several, and keeps their records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from localwhisk import payloads
from localwhisk.access import Access, Resolved
from localwhisk.activations import Activation, new_id
from localwhisk.catalog import Catalog
from localwhisk.clock import Clock, now_ms
from localwhisk.entities import Action, annotation, truthy
from localwhisk.errors import NotKept
from localwhisk.identity import Identity
from localwhisk.limits import Limits
from localwhisk.payloads import Payload
from localwhisk.runtime_api import ActionSpec, Outcome, RunContext, Runtimes
from localwhisk.scala_order import ordered
from localwhisk.specs import StoredActionSpec
from localwhisk.store import Store
from localwhisk.throttle import Throttle

log = logging.getLogger("localwhisk.invoker")

SEQUENCE, CONDUCTOR = "sequence", "conductor"

Listener = Callable[[Activation], None]
"""Is told of each activation that ended; must not block or raise."""

NativeAction = Callable[[Identity, Mapping[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(slots=True)
class Total:
    """How many activations one call from outside has led to, at all levels."""

    activations: int = 0


@dataclass(slots=True)
class Tally:
    """How many actions were run so far, counted together by a composition and those of its kind inside it."""

    components: int = 0
    conductors: int = 0
    total: Total = field(default_factory=Total)

    def anew(self) -> Tally:
        """Begin again at none, but for the total."""
        return Tally(total=self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One activation to be: who calls what with which arguments, and for which sequence (`cause`)."""

    identity: Identity
    resolved: Resolved
    payload: Payload
    transaction_id: str
    cause: str | None = None
    activation_id: str = field(default_factory=new_id)
    tally: Tally = field(default_factory=Tally)

    @property
    def action(self) -> Action:
        """The action itself."""
        return self.resolved.action


class Composer(Protocol):
    """Runs an action made of others."""

    async def run(self, call: Call) -> Activation:
        """The finished record."""


def _ignore(_activation: Activation) -> None:
    return None


@dataclass(slots=True, kw_only=True)
class Invoker:
    """Starts activations in this event loop; at most the concurrency limit of each namespace at once."""

    catalog: Catalog
    access: Access
    store: Store
    throttle: Throttle
    runtimes: Runtimes
    limits: Limits
    clock: Clock = now_ms
    api_host: str = ""
    native: Mapping[str, NativeAction] = field(default_factory=dict)
    composers: dict[str, Composer] = field(default_factory=dict)
    listener: Listener = _ignore
    _tasks: set[asyncio.Task[Activation]] = field(default_factory=set)

    def start(self, call: Call) -> asyncio.Task[Activation]:
        """Begin; the record is durable when the task is done."""
        self.store.submit(self._begun(call).running_statement())
        kind = self.composition_kind(call.action)
        if kind is None:
            self.throttle.begin(call.identity.namespace)
            coroutine = self._primitive(call)
        else:
            coroutine = self._composition(call, self.composers[kind])
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def invoke(self, call: Call, *, wait_ms: int) -> Activation | None:
        """Start and wait; None when it is not done in time (it goes on)."""
        task = self.start(call)
        done, _ = await asyncio.wait((task,), timeout=wait_ms / 1000)
        return task.result() if done else None

    async def begin(self, call: Call) -> None:
        """Start, and return as soon as a crash can no longer lose the activation; raises NotKept."""
        self.start(call)
        await self.store.write(self._begun(call).running_statement())

    async def drain(self, timeout_s: float) -> None:
        """Wait for what runs."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def composition_kind(self, action: Action) -> str | None:
        """SEQUENCE, CONDUCTOR, or None for an action with code."""
        if action.exec.is_sequence:
            return SEQUENCE
        return CONDUCTOR if truthy(annotation(action.annotations, "conductor")) else None

    async def run_component(self, call: Call) -> Activation:
        """Run one step of a composition as an activation of its own."""
        return await self.start(call)

    async def run_code(self, call: Call) -> Activation:
        """Run a conductor's own code as a step."""
        self.store.submit(self._begun(call).running_statement())
        self.throttle.begin(call.identity.namespace)
        return await self._primitive(call)

    async def keep(self, activation: Activation) -> Activation:
        """Make a finished record durable and tell the listener."""
        await self.store.write(*activation.statements())
        self.listener(activation)
        return activation

    def _ended(self, task: asyncio.Task[Activation]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and not isinstance(task.exception(), NotKept | None):
            log.error("an activation failed inside the engine", exc_info=task.exception())

    async def _composition(self, call: Call, composer: Composer) -> Activation:
        return await self.keep(await composer.run(call))

    async def _primitive(self, call: Call) -> Activation:
        try:
            outcome = await self._outcome(call)
        finally:
            self.throttle.end(call.identity.namespace)
        return await self.keep(self._finished(call, outcome))

    async def _outcome(self, call: Call) -> Outcome:
        native = self.native.get(call.action.doc)
        environment = payloads.environment(call.resolved.parameters, call.payload)
        given = payloads.without(call.payload, environment)
        payload = payloads.with_defaults(payloads.arguments(call.resolved.parameters), given)
        if native is not None:
            return await self._run_native(native, call, payload)
        return await self.runtimes.run(self._spec(call, environment), self._context(call), payload.raw)

    async def _run_native(self, native: NativeAction, call: Call, payload: Payload) -> Outcome:
        start = self.clock()
        arguments = payload.value if isinstance(payload.value, dict) else {}
        result = await native(call.identity, arguments)
        failed = "error" in result
        raw = Payload.of({"error": result["error"]} if failed else result)
        return Outcome(
            status="application error" if failed else "success",
            result=raw.value,
            start_ms=start,
            end_ms=self.clock(),
            size=len(raw.raw),
        )

    def _spec(self, call: Call, environment: Mapping[str, str]) -> ActionSpec:
        action = call.action
        revision = f"{call.identity.namespace}:{action.revision}"
        if environment:
            revision += ":" + ":".join(f"{key}={value}" for key, value in sorted(environment.items()))
        return StoredActionSpec(
            load=lambda: self.catalog.code(action.doc),
            namespace=call.identity.namespace,
            fqn=f"/{action.doc}",
            version=action.version,
            kind=action.exec.kind,
            binary=action.exec.binary,
            main=action.exec.main or "main",
            image=action.exec.image,
            timeout_ms=action.limits["timeout"],
            memory_mb=action.limits["memory"],
            logs_mb=action.limits["logs"],
            init_env=environment,
            revision=revision,
            concurrency=action.limits["concurrency"],
        )

    def _context(self, call: Call) -> RunContext:
        wants_key = truthy(annotation(call.action.annotations, "provide-api-key", default=True))
        return RunContext(
            activation_id=call.activation_id,
            transaction_id=call.transaction_id,
            api_host=self.api_host,
            api_key=call.identity.auth if wants_key else None,
        )

    def _begun(self, call: Call) -> Activation:
        kind = [_pair("path", call.action.doc), _pair("kind", call.action.exec.kind)]
        return record_of(call, start=self.clock(), annotations=kind)

    def _finished(self, call: Call, outcome: Outcome) -> Activation:
        return replace(
            record_of(call, start=outcome.start_ms),
            end=outcome.end_ms,
            duration=outcome.end_ms - outcome.start_ms,
            status=outcome.status,
            result=outcome.result,
            size=outcome.size,
            annotations=_annotations(call, outcome),
            logs=outcome.logs,
        )


def record_of(call: Call, *, start: int, annotations: Sequence[Mapping[str, Any]] = ()) -> Activation:
    """Return a call's record as it begins, which stays if nobody says how it ended."""
    return Activation(
        id=call.activation_id,
        namespace=call.identity.namespace,
        subject=call.identity.namespace,
        name=call.action.name,
        version=call.action.version,
        start=start,
        status="whisk internal error",
        result=None,
        path=call.action.doc,
        cause=call.cause,
        annotations=annotations,
    )


def _annotations(call: Call, outcome: Outcome) -> Sequence[Mapping[str, Any]]:
    pairs: list[dict[str, Any]] = []
    if call.resolved.binding is not None:
        pairs.append(_pair("binding", call.resolved.binding))
    if call.cause is not None:
        pairs.append(_pair("causedBy", "sequence"))
    pairs += [
        _pair("path", call.action.doc),
        _pair("waitTime", outcome.wait_ms),
        _pair("kind", call.action.exec.kind),
        _pair("timeout", outcome.timeout),
        _pair("limits", dict(call.action.limits)),
    ]
    if outcome.init_ms is not None:
        pairs.append(_pair("initTime", outcome.init_ms))
    return ordered(pairs)


def _pair(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}
