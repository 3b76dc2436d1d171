"""Activations that belong together: a fire, the sequences it began, and their actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hort import clock
from operate.activations import Activation, Whisk
from operate.letters import origin

MARGIN_MS = 2_000
SPANS_MS = (60_000, 600_000, 3_600_000, 86_400_000)
"""How long after a batch was made its activations are looked for, a step at a time until one is found."""
CLOSE = "hort/close"
INGEST = "hort/ingest"
DEFAULT_TRIGGER = "device-events"
ID_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Families:
    """Finds families in one namespace; `triggers` are names by registration id."""

    whisk: Whisk
    triggers: Mapping[str, str]
    now: Callable[[], int] = clock.now_ms

    def get(self, name: str) -> Activation | None:
        """One activation; None where the id cannot be one's or its record is not there."""
        return self.whisk.get(name) if len(name) == ID_LENGTH else None

    def heads(self, batch_id: str, made: int, known: str) -> list[Activation]:
        """The fires of a batch; where no trigger's record names it, the sequences whose first action does."""
        found = {known: self.whisk.get(known)} if known else {}
        trigger = self.triggers.get(origin(batch_id)[0], DEFAULT_TRIGGER)
        since = made - MARGIN_MS
        for span in SPANS_MS if made else ():
            upto = made + span
            for name in (trigger, CLOSE if batch_id.startswith("close-") else INGEST):
                found |= {item.id: item for item in self.whisk.between(name, since, upto) if item.batch_id == batch_id}
            since = upto + 1
            if found or upto > self.now():
                break
        heads = [item for item in found.values() if item is not None]
        started = {name for item in heads for name in item.children}
        causes = {item.cause for item in heads if item.cause} - started
        heads += [item for name in sorted(causes) if (item := self.whisk.get(name)) is not None]
        return sorted((item for item in heads if not item.cause), key=lambda item: item.start)

    def of(self, activation: Activation, *, known: set[str]) -> tuple[list[dict[str, Any]], list[str]]:
        """Rows of an activation's whole family but for those that are known, and what of it is missing."""
        outer = self.whisk.get(activation.cause) if activation.cause else None
        rows: list[dict[str, Any]] = []
        missing: list[str] = []
        self._add(outer or activation, 0, set(known), rows, missing)
        return rows, missing

    def _add(self, activation: Activation, depth: int, seen: set[str], rows: list[dict[str, Any]], missing: list[str]) -> None:
        if activation.id in seen:
            return
        seen.add(activation.id)
        rows.append(row_of(activation, depth))
        for name in activation.children:
            child = self.whisk.get(name)
            if child is None:
                missing.append(f"activation {name}, begun by {activation.name}: its record is not there (any more, or not yet)")
            else:
                self._add(child, depth + 1, seen, rows, missing)

    def batch_around(self, activation: Activation) -> str:
        """The batch that its sequence or its parts name: a failed action names none itself."""
        for name in (activation.cause, *activation.children):
            other = self.get(name)
            parts = () if other is None else (other, *map(self.get, other.children))
            for part in parts:
                if part is not None and part.batch_id:
                    return part.batch_id
        return ""


def row_of(activation: Activation, depth: int) -> dict[str, Any]:
    """What a trace shows of an activation."""
    inner = activation.kind not in ("trigger", "sequence")
    return {
        "activation": activation.id,
        "name": activation.name,
        "kind": activation.kind,
        "depth": depth,
        "start": clock.iso(activation.start),
        "duration_ms": activation.duration,
        "status": activation.status,
        "error": activation.result.get("error"),
        "rules": activation.rules,
        "logs": list(activation.logs) if inner else [],
    }
