"""What a real Redis has written to its folder."""

from pathlib import Path
from typing import Any

import redis


def append_only_file(client: "redis.Redis") -> bytes:
    """Every byte of the append-only file's parts."""
    config: Any = client.config_get("*")
    return b"".join(path.read_bytes() for path in sorted(Path(config["dir"], config["appenddirname"]).iterdir()))
