"""Web action `report`: takes a photo with what its finder knows, and fires the trigger that has it read, see `hort.report`."""

from __future__ import annotations

from typing import Any

from hort import report


def main(args: dict[str, Any]) -> dict[str, Any]:
    return report.run(args)
