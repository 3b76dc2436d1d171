"""Runs compositions: a conductor action names the next action and its arguments until it is done.

What goes wrong on the way (a name that is none, an action that is not there or not for this caller, too many of them) is
told to the conductor, which has the last word. Sources: OpenWhisk docs/conductors.md, its PrimitiveActions.scala.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localwhisk import compositions, jsonio, messages, names
from localwhisk.access import Resolved
from localwhisk.activations import Activation
from localwhisk.compositions import Account
from localwhisk.errors import ApiError
from localwhisk.invoker import CONDUCTOR, Call, Invoker
from localwhisk.payloads import EMPTY, Payload

_VALUE, _STATE = "value", "state"


@dataclass(frozen=True, slots=True)
class Conductors:
    """The composer for actions annotated as conductors."""

    invoker: Invoker

    async def run(self, call: Call) -> Activation:
        """Run conductor and components in turn; the record names all their activations in its logs."""
        account = Account(self.invoker.clock(), memory=call.action.limits["memory"])
        payload: Payload | None = call.payload if isinstance(call.payload.value, dict) else EMPTY
        while payload is not None:
            payload = await self._turn(call, account, payload)
        return compositions.record(self.invoker, call, account, conductor=True)

    async def _turn(self, call: Call, account: Account, payload: Payload) -> Payload | None:
        """One run of the conductor and of what it names; None when the composition has ended."""
        if call.tally.conductors > 2 * self.invoker.limits.sequence_length or compositions.is_endless(call.tally):
            account.fail(messages.COMPOSITION_TOO_LONG)
            return None
        call.tally.conductors += 1
        said = await self.invoker.run_code(compositions.component(call, call.resolved, payload, call.tally.anew()))
        account.add(said)
        output = said.result
        if not isinstance(output, dict):  # an array, on which the real server fails
            account.end("whisk internal error", _error(messages.COMPOSITION_FAILED))
            return None
        params = _boxed(output["params"], _VALUE) if "params" in output else None
        if "action" not in output:
            account.end(said.status, output if params is None else params)
            return None
        answer = await self._component(call, account, output["action"], params)
        return Payload.of({**answer, **_boxed(output.get(_STATE, {}), _STATE)})

    async def _component(
        self, call: Call, account: Account, reference: object, params: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Run what the conductor names: the result, or what is wrong with it. One that answers an array is told as missing, as in the real server."""
        name = names.of_composition(reference, call.identity.namespace)
        if name is None:
            return _error(messages.composition_component_invalid(jsonio.dumps(reference).decode()))
        if call.tally.components >= self.invoker.limits.sequence_length:
            return _error(messages.COMPOSITION_TOO_LONG)
        try:
            self.invoker.access.check_action(call.identity, name)
        except ApiError:
            return _error(messages.composition_component_forbidden(name.doc))
        missing = _error(messages.composition_component_missing(name.doc))
        try:
            found = self.invoker.access.resolved(name)
        except ApiError:
            return missing
        activation = await self._run(call, found, EMPTY if params is None else Payload.of(params))
        account.add(activation)
        return activation.result if isinstance(activation.result, dict) else missing

    async def _run(self, call: Call, found: Resolved, payload: Payload) -> Activation:
        """Run a component; a composition inside counts with this one."""
        inner = self.invoker.composition_kind(found.action) == CONDUCTOR
        call.tally.components += not inner
        step = compositions.component(call, found, payload, call.tally if inner else call.tally.anew())
        return await self.invoker.run_component(step)


def _boxed(value: Any, key: str) -> dict[str, Any]:
    """An object as it is, anything else as its only member."""
    return value if isinstance(value, dict) else {key: value}


def _error(text: str) -> dict[str, Any]:
    return {"error": text}
