"""Windows under faults over a real Redis."""

from __future__ import annotations

import pytest
import redis
from hypothesis import HealthCheck, settings

from tests.support.window_fault_contract import FaultContract
from tests.support.window_machine import WindowMachine
from tests.support.windows import World


class TestInRedis(FaultContract):
    @pytest.fixture
    def world(self, redis_client: redis.Redis) -> World:
        return World.in_redis(redis_client)


def test_windows_are_exact_whatever_happens(redis_client: redis.Redis) -> None:
    class InRedis(WindowMachine):
        def make(self) -> World:
            redis_client.flushall()
            return World.in_redis(redis_client)

    InRedis.TestCase.settings = settings(
        max_examples=6, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
    InRedis.TestCase("runTest").debug()
