"""A benchmark's figures as tables for people; the same figures are the JSON."""

from __future__ import annotations

import os
import platform
from typing import Any

from rich.console import Console
from rich.table import Table

GOALS = {
    "sustained.rate_published": (10_000, "at least"),
    "sustained.lost": (0, "at most"),
    "sustained.suite_cpu_s_per_million": (120, "at most"),
    "freshness.p50_ms": (1_000, "at most"),
    "freshness.p95_ms": (1_800, "at most"),
    "blocking_invoke.p50_ms": (3, "at most"),
    "fire_to_running.p50_ms": (5, "at most"),
    "invocations_per_s_4_clients": (300, "at least"),
    "start_up_s.empty_p50": (1, "at most"),
}
"""Numbers to reach, by the path of the figure in a report."""


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was before."""
    return {"cores": os.cpu_count(), "load_before": os.getloadavg()[0], "python": platform.python_version(), "kernel": platform.release()}


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested figures by dotted path."""
    if not isinstance(value, dict):
        return {prefix: value}
    found: dict[str, Any] = {}
    for name, part in value.items():
        found |= flat(part, f"{prefix}.{name}" if prefix else str(name))
    return found


def show(name: str, figures: dict[str, Any]) -> None:
    """Prints every figure with its goal, where there is one, and whether it is reached."""
    table = Table(title=f"bench {name}", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("goal")
    for path, value in flat(figures).items():
        goal, direction = GOALS.get(path, (None, ""))
        text = f"{value:,.2f}" if isinstance(value, float) else str(value)
        table.add_row(path, text, "" if goal is None else f"{direction} {goal:,} {_verdict(value, goal, direction)}")
    Console(width=140).print(table)


def _verdict(value: Any, goal: float, direction: str) -> str:
    if not isinstance(value, int | float):
        return ""
    reached = value >= goal * 0.995 if direction == "at least" else value <= goal
    return "(reached)" if reached else "(missed)"
