import pytest

from hort.journal import Journal
from hort.testing import MemoryJournal
from tests.support.journal_contract import JournalContract


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self) -> Journal:
        return MemoryJournal()
