"""Feed action `hort/mqtt`: CREATE, READ, UPDATE, DELETE, PAUSE, UNPAUSE of an MQTT stream that fires a trigger."""

from __future__ import annotations

from typing import Any

from hort.feed import handle


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Answers {config, status}, or {"error": text}."""
    return handle(args)
