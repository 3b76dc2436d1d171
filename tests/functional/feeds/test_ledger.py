import pytest

from feeds.provider.ledger import Ledger
from feeds.provider.testing import MemoryLedger
from hort.testing import MemoryJournal
from tests.support.ledger_contract import LedgerContract, Make


class TestMemoryLedger(LedgerContract):
    @pytest.fixture
    def journal(self) -> MemoryJournal:
        return MemoryJournal()

    @pytest.fixture
    def make(self, journal: MemoryJournal) -> Make:
        first = MemoryLedger(journal)

        def make(token: int) -> Ledger:
            return first.owned(token)

        return make
