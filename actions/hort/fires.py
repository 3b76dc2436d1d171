"""What came of a trigger's fire, by OpenWhisk's records: which rules started something, and how that ended.

OpenWhisk answers a fire before it looks at rules. What these do stands in the log of the trigger's activation, and how an action or a
sequence ended in the record of its own, which is written then: also of an image that cannot be pulled, a crash, memory, a time-out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hort import urls

_MESSAGE_LIMIT = 300

Records = Callable[[str], Mapping[str, Any]]
"""The record of an activation, empty where there is none (yet)."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a trigger's activation says of its rules: whether it is there, the errors of active rules, and what they started."""

    known: bool
    errors: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()


def rules_of(logs: Any) -> Started:
    """Read the lines that OpenWhisk writes into a trigger's activation, one JSON object a rule."""
    if not isinstance(logs, list) or not logs:
        return Started(known=False)
    errors, started, read = [], [], 0
    for line in logs:
        try:
            entry = json.loads(line[line.index("{") :])
        except (ValueError, AttributeError):
            continue
        read += 1
        error = str(entry.get("error", ""))
        if not entry.get("success", True) and "is inactive" not in error:
            errors.append(f"{entry.get('rule')}: {error}"[:_MESSAGE_LIMIT])
        elif entry.get("activationId"):
            started.append(str(entry["activationId"]))
    return Started(known=read > 0, errors=tuple(errors), activations=tuple(started))


def failure(fire: str, sequence: str, records: Records) -> str | None:
    """Why a sequence that a fire was to start comes to nothing, without addresses; None where it runs, ended well, or it is not known."""
    if not fire:
        return None
    started = rules_of(records(fire).get("logs"))
    found = [records(activation) for activation in started.activations]
    mine = next((record for record in found if record.get("name") == sequence), None)
    if mine is not None:
        return _reason(mine.get("response"))
    return urls.without_addresses("; ".join(started.errors)) or None if all(found) else None


def _reason(response: object) -> str | None:
    if not isinstance(response, dict) or response.get("success", True):
        return None
    result = response.get("result")
    error = result.get("error") if isinstance(result, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    return urls.without_addresses(str(text or response.get("status") or "it failed"))[:_MESSAGE_LIMIT]
