"""Windows while a backlog drains, over a real Redis."""

from __future__ import annotations

import pytest
import redis

from tests.support.window_backlog_contract import BacklogContract
from tests.support.windows import World


class TestInRedis(BacklogContract):
    @pytest.fixture
    def world(self, redis_client: redis.Redis) -> World:
        return World.in_redis(redis_client)
