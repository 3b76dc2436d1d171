"""Feed actions `alarms/alarm`, `alarms/once` and `alarms/interval`, and their web action: triggers by the clock, for an OpenWhisk without."""

from __future__ import annotations

from typing import Any

from hort.alarm_feed import handle, handle_web


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Answers as the feeds of openwhisk-package-alarms do."""
    return handle_web(args) if "__ow_method" in args else handle(args)
