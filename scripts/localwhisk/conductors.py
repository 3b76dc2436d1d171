"""Runs compositions: a conductor action names the next action and its arguments until it is done.

Source: OpenWhisk docs/conductors.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localwhisk import jsonio, messages, names
from localwhisk.activations import Activation
from localwhisk.errors import ApiError
from localwhisk.invoker import Call, Invoker
from localwhisk.payloads import Payload
from localwhisk.runtime_api import Status
from localwhisk.sequences import composition_annotations

_CONTROL = ("action", "params", "state")


@dataclass(slots=True)
class _Composition:
    started: int
    logs: list[str] = field(default_factory=list)
    duration: int = 0
    memory: int = 0
    components: int = 0
    status: Status = "success"
    result: Any = None

    def add(self, activation: Activation, memory: int) -> None:
        self.logs.append(activation.id)
        self.duration += activation.duration or 0
        self.memory = max(self.memory, memory)

    def end(self, status: Status, result: Any) -> None:
        self.status, self.result = status, result


@dataclass(frozen=True, slots=True)
class Conductors:
    """The composer for actions annotated as conductors."""

    invoker: Invoker

    async def run(self, call: Call) -> Activation:
        """Run conductor and components in turn; the record names all their activations in its logs."""
        composition = _Composition(self.invoker.clock())
        payload: Payload | None = call.payload
        while payload is not None:
            payload = await self._turn(call, composition, payload)
        return self._record(call, composition)

    async def _turn(self, call: Call, composition: _Composition, payload: Payload) -> Payload | None:
        """One run of the conductor and of what it names; None when the composition has ended."""
        said = await self.invoker.run_code(_step(call, call.resolved, payload))
        composition.add(said, call.action.limits["memory"])
        output = said.result if isinstance(said.result, dict) else {}
        if not said.ok:
            composition.end(said.status, said.result)
            return None
        params = output.get("params", {key: value for key, value in output.items() if key not in _CONTROL})
        if "action" not in output:
            composition.end("success", params)
            return None
        return await self._component(call, composition, output, Payload.of(params))

    async def _component(
        self, call: Call, composition: _Composition, output: dict[str, Any], params: Payload
    ) -> Payload | None:
        composition.components += 1
        if composition.components > self.invoker.limits.sequence_length:
            composition.end("application error", {"error": messages.COMPOSITION_TOO_LONG})
            return None
        try:
            name = names.qualified(_absolute(output["action"]), call.identity.namespace)
            resolved = self.invoker.access.action(call.identity, name)
        except ApiError as error:
            composition.end("application error", {"error": _problem(output["action"], error)})
            return None
        step = await self.invoker.run_component(_step(call, resolved, params))
        composition.add(step, resolved.action.limits["memory"])
        result = step.result if isinstance(step.result, dict) else {"value": step.result}
        state = output.get("state")
        return Payload.of({**result, **(state if isinstance(state, dict) else {})})

    def _record(self, call: Call, composition: _Composition) -> Activation:
        return Activation(
            id=call.activation_id,
            namespace=call.identity.namespace,
            subject=call.identity.namespace,
            name=call.action.name,
            version=call.action.version,
            start=composition.started,
            end=max(self.invoker.clock(), composition.started + composition.duration),
            duration=composition.duration,
            status=composition.status,
            result=composition.result,
            path=call.action.doc,
            cause=call.cause,
            annotations=composition_annotations(call, composition.memory, conductor=True),
            logs=composition.logs,
        )


def _step(call: Call, resolved: Any, payload: Payload) -> Call:
    return Call(
        identity=call.identity,
        resolved=resolved,
        payload=payload,
        transaction_id=call.transaction_id,
        cause=call.activation_id,
    )


def _absolute(reference: object) -> object:
    """'name' and 'pkg/name' mean the caller's namespace."""
    if isinstance(reference, str) and not reference.startswith("/"):
        return f"/{names.OWN_NAMESPACE}/{reference}"
    return reference


def _problem(reference: object, error: ApiError) -> str:
    if error.status == 400:  # the name could not be read
        return messages.composition_component_invalid(jsonio.dumps(reference).decode())
    return messages.composition_component_missing(str(reference))
