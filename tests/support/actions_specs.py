"""Actions for tests of the runtimes: specs that say only what matters, zips, and what a run left."""

import base64
import io
import os
import zipfile
from pathlib import Path
from typing import Any

from localwhisk.runtime_api import ActionSpec, Outcome, RunContext, Runtimes
from tests.support.processes import pids


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
        "timeout_ms": 60_000,
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


def zipped(**files: str) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return base64.b64encode(buffer.getvalue()).decode()


def processes_in(folder: Path) -> list[str]:
    """Find processes that work in the pool's folder."""
    found = []
    for pid in pids():
        try:
            if Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(folder):  # noqa: PTH115
                found.append(pid)
        except OSError:
            continue
    return found


async def invoke(pool: Runtimes, spec: ActionSpec, params: bytes = b"{}", **changed: Any) -> Outcome:
    return await pool.run(spec, context(**changed), params)


def texts_of(outcome: Outcome) -> list[str]:
    """Log lines without their times."""
    return [line[31:] for line in outcome.logs]
