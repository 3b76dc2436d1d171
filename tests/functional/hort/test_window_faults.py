"""Windows under faults over the in-memory twins."""

from __future__ import annotations

import pytest

from tests.support.window_fault_contract import FaultContract
from tests.support.windows import World


class TestInMemory(FaultContract):
    @pytest.fixture
    def world(self) -> World:
        return World.in_memory()
