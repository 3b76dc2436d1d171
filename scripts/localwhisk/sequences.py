"""Runs sequences: each result is the next component's arguments, until one has an `error`, whatever its status."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from localwhisk import compositions, messages, names
from localwhisk.access import Resolved
from localwhisk.activations import Activation
from localwhisk.compositions import Account
from localwhisk.errors import ApiError
from localwhisk.invoker import Call, Invoker
from localwhisk.payloads import EMPTY, Payload


@dataclass(frozen=True, slots=True)
class Sequences:
    """The composer for kind 'sequence'."""

    invoker: Invoker

    async def run(self, call: Call) -> Activation:
        """Run all components; the record names their activations in its logs."""
        account = Account(self.invoker.clock())
        payload: Payload | None = call.payload if call.payload.value else EMPTY
        for reference in call.action.exec.components:
            if payload is not None:
                payload = await self._next(call, account, reference, payload)
        return compositions.record(self.invoker, call, account)

    async def _next(self, call: Call, account: Account, reference: str, payload: Payload) -> Payload | None:
        """Run one component; what the next one gets, None when the sequence has ended."""
        limit = self.invoker.limits.sequence_length
        found = self._resolve(call, reference)
        too_long = call.tally.components >= limit or compositions.is_endless(call.tally)
        if found is None or too_long:
            account.fail(messages.SEQUENCE_TOO_LONG if too_long else messages.SEQUENCE_COMPONENT_MISSING)
            return None
        activation = await self._run(call, found, payload)
        account.add(activation)
        account.end(activation.status, activation.result, activation.size)
        if call.tally.components > limit:
            account.fail(messages.SEQUENCE_TOO_LONG)
        failed = account.status != "success" or (isinstance(account.result, dict) and "error" in account.result)
        return None if failed else Payload.of(activation.result)

    async def _run(self, call: Call, found: Resolved, payload: Payload) -> Activation:
        """Run a component; a sequence counts what it is made of, everything else is one action."""
        tally = call.tally if found.action.exec.is_sequence else call.tally.anew()
        step = compositions.component(call, found, payload, tally)
        activation = await asyncio.shield(self.invoker.run_component(step))
        if not found.action.exec.is_sequence:
            call.tally.components += 1
        return activation

    def _resolve(self, call: Call, reference: str) -> Resolved | None:
        """Look a component up; its caller's rights were checked before the start."""
        try:
            return self.invoker.access.resolved(names.qualified(reference, call.identity.namespace))
        except ApiError:
            return None
