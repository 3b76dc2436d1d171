"""Action `ingest`: decodes a batch of MQTT messages into typed records, see `hort.ingest`."""

from __future__ import annotations

from typing import Any

from hort import action, ingest


def main(args: dict[str, Any]) -> dict[str, Any]:
    return ingest.run(action.strip(args))
