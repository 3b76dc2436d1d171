"""Web action `echo-model`: answers what it was sent, in any of the three protocols."""

from __future__ import annotations

from typing import Any

from hort import anomaly


def main(args: dict[str, Any]) -> dict[str, Any]:
    return anomaly.respond(args, anomaly.echo)
