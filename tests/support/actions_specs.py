"""Specs for tests; each says only what matters to it."""

from typing import Any

from localwhisk.runtime_api import ActionSpec, RunContext


def spec(code: str = "def main(args):\n    return {}\n", **changed: Any) -> ActionSpec:
    values: dict[str, Any] = {
        "namespace": "guest",
        "fqn": "/guest/pkg/hello",
        "version": "0.0.1",
        "kind": "python:3.11",
        "code": code,
        "binary": False,
        "main": "main",
        "image": None,
        "timeout_ms": 10_000,
        "memory_mb": 256,
        "logs_mb": 10,
        "init_env": {},
        "revision": "1",
    }
    return ActionSpec(**{**values, **changed})


def context(**changed: Any) -> RunContext:
    values: dict[str, Any] = {
        "activation_id": "1" * 32,
        "transaction_id": "tid",
        "api_host": "http://127.0.0.1:3233",
        "api_key": None,
    }
    return RunContext(**{**values, **changed})
