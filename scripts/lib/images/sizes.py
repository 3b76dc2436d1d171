"""`images sizes`: what each image weighs and what it adds to the one before it."""

from __future__ import annotations

from typing import Any

from lib.images import base
from lib.images.engines import Engine
from lib.images.table import LIMIT_MB, RECIPES


def measure(engine: Engine) -> list[dict[str, Any]]:
    """One row an image, megabytes (10^6 bytes) of its unpacked layers."""
    rows: list[dict[str, Any]] = []
    names = [("base", base.ensure(engine)[0], "Debian bookworm-slim"), *((recipe.name, recipe.image, recipe.reason) for recipe in RECIPES)]
    before = 0.0
    for name, image, reason in names:
        total = engine.size(image) / 1e6
        rows.append({"name": name, "image": image, "adds_mb": round(total - before, 1), "total_mb": round(total, 1), "holds": reason})
        before = total
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a table in Markdown."""
    lines = ["| image | adds MB | whole MB | what it adds |", "|---|---:|---:|---|"]
    lines += [f"| `{row['image']}` | {row['adds_mb']} | {row['total_mb']} | {row['holds']} |" for row in rows]
    return "\n".join([*lines, "", f"The last one must stay below {LIMIT_MB} MB."])
