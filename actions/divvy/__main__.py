"""Action `divvy`: polls a GBFS source and publishes each station's status to MQTT, see `hort.divvy`."""

from __future__ import annotations

from typing import Any

from hort.divvy_action import run


def main(args: dict[str, Any]) -> dict[str, Any]:
    return run(args)
