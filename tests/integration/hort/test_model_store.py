import pytest
import redis

from hort import keys
from hort.breaker import Breakers, RedisBreakers
from hort.model_store import ModelStore, RedisModelStore
from tests.support.model_contracts import RULE, BreakerContract, ModelStoreContract


class TestRedisModelStore(ModelStoreContract):
    @pytest.fixture
    def store(self, redis_client: redis.Redis) -> ModelStore:
        return RedisModelStore(redis_client)


class TestRedisBreakers(BreakerContract):
    @pytest.fixture
    def breakers(self, redis_client: redis.Redis) -> Breakers:
        return RedisBreakers(redis_client)


def test_a_breaker_goes_by_itself_when_nobody_asks_any_more(redis_client: redis.Redis) -> None:
    breakers = RedisBreakers(redis_client)
    for now in range(5):
        breakers.failed("m", RULE, now=now)
    assert 0 < redis_client.pttl(keys.breaker("m")) <= 150_000


def test_deleting_a_model_forgets_its_breaker(redis_client: redis.Redis) -> None:
    store, breakers = RedisModelStore(redis_client), RedisBreakers(redis_client)
    store.replace("m", expected=None, value=b"1", limit=5)
    for now in range(5):
        breakers.failed("m", RULE, now=now)
    store.delete("m")
    assert breakers.enter("m", RULE, now=6) == "closed"
