"""What sequences and compositions of conductors share: the account of what ran, and the record made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from localwhisk.access import Resolved
from localwhisk.activations import Activation
from localwhisk.entities import annotation
from localwhisk.invoker import Call, Invoker, Tally, record_of
from localwhisk.payloads import Payload
from localwhisk.runtime_api import Status
from localwhisk.scala_order import ordered

MOST_ACTIVATIONS = 10_000
"""What one call may lead to. Sequences and conductors that name one another would go on for ever, as they do in the real server."""


@dataclass(slots=True)
class Account:
    """What was run so far; `duration` in ms, `memory` the most of any component in MB, None while nothing ran."""

    started: int
    memory: int | None = None
    logs: list[str] = field(default_factory=list)
    duration: int = 0
    status: Status = "success"
    result: Any = None
    size: int | None = None

    def add(self, activation: Activation) -> None:
        """Count a component that ended."""
        self.logs.append(activation.id)
        self.duration += activation.duration or 0
        memory = annotation(activation.annotations, "limits", {}).get("memory")
        self.memory = max(filter(None, (self.memory, memory)), default=None)

    def end(self, status: Status, result: Any, size: int | None = None) -> None:
        """Set how it ended."""
        self.status, self.result, self.size = status, result, size

    def fail(self, text: str) -> None:
        """End with an application error."""
        self.end("application error", {"error": text})


def component(call: Call, resolved: Resolved, payload: Payload, tally: Tally) -> Call:
    """The call of one action that `call` is made of."""
    tally.total.activations += 1
    return Call(
        identity=call.identity,
        resolved=resolved,
        payload=payload,
        transaction_id=call.transaction_id,
        cause=call.activation_id,
        tally=tally,
    )


def is_endless(tally: Tally) -> bool:
    """Whether a call has led to more than any that means to end."""
    return tally.total.activations >= MOST_ACTIVATIONS


def record(invoker: Invoker, call: Call, account: Account, *, conductor: bool = False) -> Activation:
    """The record of the whole; its log lines are the ids of what ran."""
    return replace(
        record_of(call, start=account.started),
        end=max(invoker.clock(), account.started + account.duration),
        duration=account.duration,
        status=account.status,
        result=account.result,
        size=account.size,
        annotations=_annotations(invoker, call, account.memory, conductor=conductor),
        logs=account.logs,
    )


def _annotations(
    invoker: Invoker, call: Call, memory: int | None, *, conductor: bool
) -> Sequence[Mapping[str, Any]]:
    pairs: dict[str, Any] = {"topmost": call.cause is None, "path": call.action.doc, "kind": "sequence"}
    if conductor:
        pairs["conductor"] = True
    if call.cause is not None:
        pairs["causedBy"] = "sequence"
    pairs["waitTime"] = 0
    if call.resolved.binding is not None:
        pairs["binding"] = call.resolved.binding
    if memory is not None:
        own = {name: call.action.limits[name] for name in ("timeout", "logs")}
        limits = {**own, "memory": memory, "concurrency": invoker.limits.concurrency[1]}
        pairs["limits"] = dict(sorted(limits.items()))
    return ordered([{"key": key, "value": value} for key, value in pairs.items()])
