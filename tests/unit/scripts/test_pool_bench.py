"""The arithmetic of the pool benchmark."""

from __future__ import annotations

from typing import Any

from workloads.pool import by_action


def record(name: str, **annotations: Any) -> dict[str, Any]:
    return {"name": name, "annotations": [{"key": key, "value": value} for key, value in annotations.items()]}


def test_starts_are_cold_or_warm_and_those_of_actions() -> None:
    found = by_action(
        [
            record("sink", kind="python:3.11", waitTime=3, initTime=400),
            record("sink", kind="python:3.11", waitTime=3),
            record("sink", kind="python:3.11", waitTime=3),
            record("stream", kind="sequence", waitTime=3),
            record("window-tick", path="guest/window-tick"),
        ]
    )
    assert found == {"sink": {"cold": 1, "warm": 2}}
