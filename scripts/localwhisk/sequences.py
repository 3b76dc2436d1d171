"""Runs sequences: each result is the next component's arguments, until one fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from localwhisk import messages, names
from localwhisk.access import Resolved
from localwhisk.activations import Activation
from localwhisk.errors import ApiError
from localwhisk.invoker import Call, Invoker
from localwhisk.payloads import EMPTY, Payload
from localwhisk.runtime_api import Status


@dataclass(slots=True)
class _Progress:
    """What a composition gathered so far; `duration` in ms, `memory` the most of any component in MB."""

    started: int
    logs: list[str] = field(default_factory=list)
    duration: int = 0
    memory: int = 0
    status: Status = "success"
    result: Any = None
    size: int | None = None

    def fail(self, text: str) -> None:
        self.status, self.result, self.size = "application error", {"error": text}, None

    def add(self, activation: Activation, memory: int) -> None:
        self.logs.append(activation.id)
        self.duration += activation.duration or 0
        self.memory = max(self.memory, memory)
        self.status, self.result, self.size = activation.status, activation.result, activation.size


@dataclass(frozen=True, slots=True)
class Sequences:
    """The composer for kind 'sequence'."""

    invoker: Invoker

    async def run(self, call: Call) -> Activation:
        """Run all components; the record names their activations in its logs."""
        progress = _Progress(self.invoker.clock())
        payload = _first_payload(call)
        for reference in call.action.exec.components:
            component = self._resolve(call, reference)
            if component is None or len(progress.logs) >= self.invoker.limits.sequence_length:
                progress.fail(_problem(component))
                break
            activation = await self._step(call, component, payload)
            progress.add(activation, component.action.limits["memory"])
            if not activation.ok:
                break
            payload = Payload.of(activation.result)
        return self._record(call, progress)

    def _resolve(self, call: Call, reference: str) -> Resolved | None:
        try:
            return self.invoker.access.action(
                call.identity, names.qualified(reference, call.identity.namespace)
            )
        except ApiError:
            return None

    async def _step(self, call: Call, component: Resolved, payload: Payload) -> Activation:
        step = Call(
            identity=call.identity,
            resolved=component,
            payload=payload,
            transaction_id=call.transaction_id,
            cause=call.activation_id,
        )
        return await asyncio.shield(self.invoker.run_component(step))

    def _record(self, call: Call, progress: _Progress) -> Activation:
        return Activation(
            id=call.activation_id,
            namespace=call.identity.namespace,
            subject=call.identity.namespace,
            name=call.action.name,
            version=call.action.version,
            start=progress.started,
            end=max(self.invoker.clock(), progress.started + progress.duration),
            duration=progress.duration,
            status=progress.status,
            result=progress.result,
            size=progress.size,
            path=call.action.doc,
            cause=call.cause,
            annotations=composition_annotations(call, progress.memory),
            logs=progress.logs,
        )


def composition_annotations(call: Call, memory: int, *, conductor: bool = False) -> list[dict[str, Any]]:
    """Annotations of a sequence's or composition's own record; no limits when nothing ran (`memory` 0)."""
    pairs: dict[str, Any] = {"topmost": call.cause is None, "path": call.action.doc, "waitTime": 0}
    if call.resolved.binding is not None:
        pairs = {"binding": call.resolved.binding, **pairs}
    if conductor:
        pairs["conductor"] = True
    pairs["kind"] = "sequence"
    if call.cause is not None:
        pairs["causedBy"] = "sequence"
    if memory:
        pairs["limits"] = {**call.action.limits, "memory": memory}
    return [{"key": key, "value": value} for key, value in pairs.items()]


def _first_payload(call: Call) -> Payload:
    return call.payload if call.payload.value else EMPTY


def _problem(component: Resolved | None) -> str:
    return messages.SEQUENCE_COMPONENT_MISSING if component is None else messages.SEQUENCE_TOO_LONG
