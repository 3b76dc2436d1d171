"""Key ids of windows: JSON arrays, so that no character in an id can make two keys one."""

from __future__ import annotations

import orjson


def device_key(device_type: str, device_id: str, event: str) -> str:
    """Key id at device level."""
    return orjson.dumps(["d", device_type, device_id, event]).decode()


def type_key(device_type: str) -> str:
    """Key id at device type level."""
    return orjson.dumps(["t", device_type]).decode()
