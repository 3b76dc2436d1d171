"""The engine in memory of this process: its ASGI app over a fake of the runtimes, called without sockets."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from localwhisk.app import App
from localwhisk.clock import now_ms
from localwhisk.engine import Engine
from localwhisk.identity import PUBLIC, Identities, Identity
from localwhisk.limits import Limits
from localwhisk.runtime_api import ActionSpec, Outcome, RunContext, Status

GUEST, SYSTEM = PUBLIC
OTHER = Identity("other", "00000000-0000-0000-0000-000000000001", "k" * 64)
API = "/api/v1/namespaces/_"
ROOMY = Limits(invocations_per_minute=10_000, fires_per_minute=10_000, concurrent=1000)
T_ = TypeVar("T_")

Behaviour = Callable[[dict[str, Any]], Awaitable[Any]]


class FakeRuntimes:
    """Runs code that is the name of a behaviour; tests add their own to `behaviours`."""

    def __init__(self) -> None:
        self.runs: list[tuple[ActionSpec, RunContext, bytes]] = []
        self.started = self.closed = False
        self.behaviours: dict[str, Callable[[Any], Any]] = {
            "give-back": lambda args: args,
            "fail": lambda args: {"error": args.get("e", "it failed")},
            "none": lambda _: None,
            "list": lambda _: [1, 2, {"a": 1}],
        }

    async def start(self) -> None:
        self.started = True

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes) -> Outcome:
        self.runs.append((spec, context, params))
        cold = sum(1 for other, *_ in self.runs if other.pool_key == spec.pool_key) == 1
        start = now_ms()
        result = self.behaviours[spec.code](json.loads(params))
        if asyncio.iscoroutine(result):
            result = await result
        status: Status = "success"
        if result is None:
            status, result = "action developer error", {"error": "no result"}
        elif isinstance(result, dict) and "error" in result:
            status, result = "application error", {"error": result["error"]}
        return Outcome(
            status=status,
            result=result,
            start_ms=start,
            end_ms=now_ms(),
            init_ms=5 if cold else None,
            logs=[f"2026-01-01T00:00:00.000000000Z stdout: {spec.fqn}"],
            size=len(json.dumps(result)) + 1,
        )

    async def drain(self, timeout_s: float) -> None:
        return None

    async def close(self) -> None:
        self.closed = True

    def kinds(self) -> Sequence[str]:
        return ("python:3.11",)


class Reply:
    """One answer; `headers` as pairs in order."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def all_headers(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


class LocalWhisk:
    """An engine with an event loop of its own; `call` is one request as guest."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: Limits = ROOMY,
        clock: Callable[[], int] = now_ms,
        prepare: Callable[[Engine], Any] | None = None,
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self.runtimes = FakeRuntimes()
        identities = Identities((*PUBLIC, OTHER))
        self.engine = Engine(
            folder=folder, runtimes=self.runtimes, limits=limits, identities=identities, clock=clock
        )
        self.prepared: Any = prepare(self.engine) if prepare else None
        self.app = App(self.engine)
        self.run(self.engine.start())

    def run(self, work: Coroutine[Any, Any, T_]) -> T_:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.engine.close(drain_s=2))
        self.loop.close()

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """`path` is below the own namespace unless it begins with '/'; options as in `request`."""
        return self.run(self.request(method, path, body, **options))

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        identity: Identity | None = GUEST,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        target = path if path.startswith("/") else f"{API}/{path}"
        raw_path, _, query = target.partition("?")
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"host": "whisk.test"}
        if identity is not None:
            sent["authorization"] = "Basic " + base64.b64encode(identity.auth.encode()).decode()
        if body is not None:
            sent["content-type"] = "application/json"
        sent |= headers or {}
        return await self._exchange(method, raw_path, query, sent, raw)

    async def _exchange(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> Reply:
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        pairs = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        return Reply(sent[0]["status"], pairs, b"".join(part["body"] for part in sent[1:]))

    def put_action(self, name: str, code: str = "give-back", **more: Any) -> Reply:
        return self.call(
            "PUT", f"actions/{name}?overwrite=true", {"exec": {"kind": "python:3.11", "code": code}, **more}
        )

    def put_web(self, name: str, code: str = "give-back", **annotations: Any) -> Reply:
        pairs = [
            {"key": key.replace("_", "-"), "value": value}
            for key, value in {"web-export": True, **annotations}.items()
        ]
        return self.put_action(name, code, annotations=pairs)

    def put_rule(self, name: str, trigger: str, action: str) -> Reply:
        return self.call("PUT", f"rules/{name}", {"trigger": f"/_/{trigger}", "action": f"/_/{action}"})

    def result(self, name: str, args: Any = None) -> Any:
        """What the action answers, invoked with result=true."""
        return self.call("POST", f"actions/{name}?blocking=true&result=true", args or {}).json

    def record(self, activation_id: str) -> Any:
        """One activation's record."""
        return self.call("GET", f"activations/{activation_id}").json
