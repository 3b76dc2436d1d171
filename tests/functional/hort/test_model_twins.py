import pytest

from hort.breaker import Breakers, MemoryBreakers
from hort.model_store import MemoryModelStore, ModelStore
from tests.support.model_contracts import BreakerContract, ModelStoreContract


class TestMemoryModelStore(ModelStoreContract):
    @pytest.fixture
    def store(self) -> ModelStore:
        return MemoryModelStore()


class TestMemoryBreakers(BreakerContract):
    @pytest.fixture
    def breakers(self) -> Breakers:
        return MemoryBreakers()
