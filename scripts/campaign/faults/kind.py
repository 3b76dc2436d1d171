"""A kind of fault: its name, how long it lasts, whom it concerns, and how it is done."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from campaign.stage import Stage

Inject = Callable[[Stage, random.Random], AbstractContextManager[str]]
"""Does it on entry, undoes it on exit; yields what it chose, in words."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`concerns` names what it has to itself while it lasts: two faults of one part exclude each other."""

    name: str
    seconds: tuple[float, float]
    concerns: tuple[str, ...]
    inject: Inject


class Impossible(Exception):
    """This machine does not allow the fault, or there was nothing to do it to; the text says why."""
