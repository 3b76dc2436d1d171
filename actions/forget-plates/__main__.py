"""Action `forget-plates`: deletes the documents of index `plates` whose time is over; runs daily."""

from __future__ import annotations

from typing import Any

from hort import action, clock, deadline, plate_index


def main(args: dict[str, Any]) -> dict[str, Any]:
    index = plate_index.of(action.strip(args))
    return {"deleted": index.forget_expired(now=clock.now_ms(), time_s=deadline.seconds_left())}
