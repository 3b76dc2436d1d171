"""Limits of an installation: the stock figures, and raised ones as hosted platforms give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

MB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All limits in one place; sizes in bytes unless the name says MB, times in ms (reference section 7).

    `anonymous_per_minute` is what each web action takes of its owner's minute for callers without a key; the real server has no such bound.
    """

    invocations_per_minute: int = 60
    fires_per_minute: int = 60
    concurrent: int = 30
    anonymous_per_minute: int | None = None
    sequence_length: int = 50
    timeout_ms: tuple[int, int, int] = (100, 60_000, 300_000)
    memory_mb: tuple[int, int, int] = (128, 256, 512)
    logs_mb: tuple[int, int, int] = (0, 10, 10)
    concurrency: tuple[int, int, int] = (1, 1, 1)
    payload: int = MB
    parameters: int = MB
    code: int = 48 * MB
    request: int = 50 * MB
    uri: int = 8192
    name: int = 256
    page_default: int = 30
    page_max: int = 200
    blocking_ms: int = 60_000

    def with_rates(
        self,
        *,
        invocations: int | None = None,
        fires: int | None = None,
        concurrent: int | None = None,
        anonymous: int | None = None,
    ) -> Limits:
        """Same limits with some rates replaced; raises ValueError for a negative one."""
        given = {
            "invocations_per_minute": invocations,
            "fires_per_minute": fires,
            "concurrent": concurrent,
            "anonymous_per_minute": anonymous,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        for name, value in chosen.items():
            if value < 0:
                message = f"{name} must not be negative, got {value}"
                raise ValueError(message)
        return replace(self, **chosen)  # type: ignore[arg-type]  # mypy widens the values of the dict

    def root_document(self) -> dict[str, int]:
        """The `limits` member of the root document; memory and logs in bytes there."""
        document = {
            "actions_per_minute": self.invocations_per_minute,
            "triggers_per_minute": self.fires_per_minute,
            "concurrent_actions": self.concurrent,
            "sequence_length": self.sequence_length,
        }
        ranges = (
            ("duration", self.timeout_ms, 1),
            ("memory", self.memory_mb, MB),
            ("logs", self.logs_mb, MB),
        )
        for name, (low, _, high), unit in ranges:
            for prefix in ("", "default_"):
                document[f"{prefix}min_action_{name}"] = low * unit
                document[f"{prefix}max_action_{name}"] = high * unit
        return document

    def namespace_document(self) -> dict[str, Any]:
        """What GET namespaces/_/limits answers."""
        return {
            "invocationsPerMinute": self.invocations_per_minute,
            "firesPerMinute": self.fires_per_minute,
            "concurrentInvocations": self.concurrent,
            "maxActionConcurrency": self.concurrency[2],
            "maxActionInstances": self.concurrent,
            "minActionConcurrency": self.concurrency[0],
            "maxActionLogs": self.logs_mb[2],
            "minActionLogs": self.logs_mb[0],
            "maxActionMemory": self.memory_mb[2],
            "minActionMemory": self.memory_mb[0],
            "maxActionTimeout": self.timeout_ms[2],
            "minActionTimeout": self.timeout_ms[0],
            "maxParameterSize": f"{self.parameters} B",
        }


STOCK = Limits()
RAISED = Limits(
    invocations_per_minute=600,
    fires_per_minute=600,
    concurrent=100,
    timeout_ms=(100, 60_000, 600_000),
    memory_mb=(128, 256, 4096),
)
PRESETS = {"stock": STOCK, "raised": RAISED}
