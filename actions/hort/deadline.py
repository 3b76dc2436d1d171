"""How long an activation may write before OpenWhisk ends it."""

from __future__ import annotations

import os
from collections.abc import Callable

from hort import clock

TIME_S = 45.0
"""What a batch may take where the activation's own time does not end sooner."""
MARGIN_S = 5.0
"""Left of the activation's time for the journal."""


def seconds_left(*, now: Callable[[], int] = clock.now_ms) -> float:
    """Seconds that this activation may spend on writing, from its own deadline where OpenWhisk gives one."""
    deadline = os.environ.get("__OW_DEADLINE", "")
    if not deadline.isdigit():
        return TIME_S
    return max(1.0, min(TIME_S, (int(deadline) - now()) / 1000 - MARGIN_S))
