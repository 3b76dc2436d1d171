"""The state machine of windows over the in-memory twins."""

from __future__ import annotations

from hypothesis import settings

from tests.support.fuzz import examples
from tests.support.window_machine import WindowMachine
from tests.support.windows import World


class InMemory(WindowMachine):
    def make(self) -> World:
        return World.in_memory()


TestWindows = InMemory.TestCase
TestWindows.settings = settings(max_examples=examples(20), stateful_step_count=40, deadline=None)
