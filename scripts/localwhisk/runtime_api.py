"""The port between the engine and whatever runs actions: processes, containers, or a test's fake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Status = Literal["success", "application error", "action developer error", "whisk internal error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec:
    """All a runtime needs to know of one action at one revision.

    `fqn` is '/guest/pkg/name'. `code` is source text, or base64 of a zip when `binary`; "" when a
    blackbox brings its own. `init_env` holds the parameters marked init, as strings. `revision` changes
    at each update of the action, so warm processes are kept under (fqn, revision).
    """

    namespace: str
    fqn: str
    version: str
    kind: str
    code: str
    binary: bool
    main: str
    image: str | None
    timeout_ms: int
    memory_mb: int
    logs_mb: int
    init_env: Mapping[str, str]
    revision: str
    concurrency: int = 1

    @property
    def pool_key(self) -> tuple[str, str]:
        """What two specs share when a warm process of one may serve the other: never two namespaces."""
        return f"{self.namespace}:{self.fqn}", self.revision


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What differs from run to run; `api_key` is 'uuid:key', given only to actions that ask for it.

    `deadline_ms` is the epoch time at which the run is to be over, None to let the runtime set it to the
    start of the run plus the action's time limit.
    """

    activation_id: str
    transaction_id: str
    api_host: str
    api_key: str | None
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one run ended; times in epoch ms, `wait_ms`, `init_ms` as durations.

    `result` is the parsed JSON value (for an error {"error": ...}); `result_json` its raw text where it is
    at hand, so that the engine need not encode it again. `size` is the length in bytes of the result as
    the action gave it, None for errors made by the runtime. `init_ms` is None on a warm start. `logs` are
    full lines as in an activation record ('<time>Z stdout: text').
    """

    status: Status
    result: object
    start_ms: int
    end_ms: int
    wait_ms: int = 0
    init_ms: int | None = None
    result_json: bytes | None = None
    logs: Sequence[str] = field(default_factory=tuple)
    timeout: bool = False
    size: int | None = None


class Runtimes(Protocol):
    """A pool of places to run actions in."""

    async def start(self) -> None:
        """Make ready; called once in the running event loop."""

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes) -> Outcome:
        """Run once; `params` is a JSON object as UTF-8. Never raises for what an action does."""

    def forget(self, fqn: str) -> None:
        """Free what is kept warm of an action that was replaced or deleted, for all namespaces that ran it."""

    async def drain(self, timeout_s: float) -> None:
        """Wait until nothing runs, at most `timeout_s` seconds."""

    async def close(self) -> None:
        """Stop everything at once; leave no process behind."""

    def kinds(self) -> Sequence[str]:
        """Kinds that can run on this machine, such as 'python:3.11'."""
