"""Action `forget-plates`: deletes the documents of index `plates` whose time is over; runs daily."""

from __future__ import annotations

from typing import Any

from hort import action, plate_index


def main(args: dict[str, Any]) -> dict[str, Any]:
    return {"deleted": plate_index.of(action.strip(args)).forget_expired()}
