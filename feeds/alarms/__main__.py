"""Feed actions `alarms/alarm`, `alarms/once` and `alarms/interval`: triggers by the clock, for an OpenWhisk that has none."""

from __future__ import annotations

from typing import Any

from hort.alarm_feed import handle


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Answers as the feeds of openwhisk-package-alarms do."""
    return handle(args)
