"""The log of an activation: one JSON line an event on standard output, on standard error where something went wrong."""

from __future__ import annotations

import json
import os
import sys


def log(event: str, **facts: object) -> None:
    """Writes one line; never a key, a password or a payload."""
    line = {"event": event, "activation": os.environ.get("__OW_ACTIVATION_ID", ""), **facts}
    print(json.dumps(line, default=str), file=sys.stderr if "error" in facts else sys.stdout)
