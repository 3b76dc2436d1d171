"""A write whose answer never came is tried again; what the network held back of the first try arrives after that, and does nothing."""

import socket
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from feeds.provider.ledger import Piece, RedisLedger
from hort import batch, keys
from hort.batch import Reference
from hort.journal import RedisJournal
from tests.support.journal_contract import JOURNAL, NOW, REGISTRATION

SPOOL, UNACKED = keys.spool(0, REGISTRATION), keys.unacked(0, REGISTRATION)


class SilentConnection(redis.Connection):
    """A connection whose first transactions stay on their way: the client sees a timeout, Redis sees nothing until `arrive`."""

    to_hold: ClassVar[int] = 0
    late: ClassVar[list[tuple[socket.socket, bytes]]] = []

    def send_packed_command(self, command: Any, check_health: Any = True) -> None:
        packed = b"".join(command)
        if not SilentConnection.to_hold or b"EXEC" not in packed:
            super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]
            return
        SilentConnection.to_hold -= 1
        silent: Any = self._sock
        self._sock = None  # not closed: a silent network tells Redis nothing of that
        SilentConnection.late.append((silent, packed))
        raise redis.TimeoutError("held back")


def arrive() -> None:
    """What was held back reaches Redis, and has its effect."""
    assert SilentConnection.late, "nothing was held back: this test shows nothing"
    while SilentConnection.late:
        silent, packed = SilentConnection.late.pop(0)
        with silent:
            silent.settimeout(30)
            silent.sendall(packed + b"*1\r\n$4\r\nQUIT\r\n")
            while silent.recv(65_536):
                pass


@pytest.fixture
def ledger(redis_url: str) -> Iterator[RedisLedger]:
    retry = Retry(NoBackoff(), 3)
    pool = redis.ConnectionPool.from_url(redis_url, connection_class=SilentConnection, retry=retry)
    made = RedisLedger(redis.Redis(connection_pool=pool), registration=REGISTRATION, partition=0, token=1)
    made.open()
    yield made
    SilentConnection.to_hold = 0
    while SilentConnection.late:
        SilentConnection.late.pop()[0].close()
    pool.disconnect()


def put(ledger: RedisLedger, name: str = "b", *, rest: bytes | None = None) -> Reference:
    reference = Reference(batch.new_id(REGISTRATION, 0, NOW), JOURNAL)
    piece = Piece(name, b"raw", b"ids")
    ledger.put(piece, reference, trigger="/guest/t", count=1, now=NOW, due_ms=NOW, rest=rest)
    return reference


def held_back(write: Callable[[], Any], *, times: int = 1) -> Any:
    SilentConnection.to_hold = times
    done = write()
    assert (SilentConnection.to_hold, len(SilentConnection.late)) == (0, times)
    return done


@pytest.mark.parametrize("times", [1, 3])
def test_a_batch_that_is_stored_does_not_come_back(redis_client: redis.Redis, ledger: RedisLedger, times: int) -> None:
    journal = RedisJournal(redis_client)
    reference = held_back(lambda: put(ledger), times=times)
    assert journal.load(reference) == b"raw"
    journal.ack(reference)
    ledger.forget(["b"])
    arrive()
    assert journal.load(reference) is None
    assert (journal.size(JOURNAL), journal.usage(JOURNAL, now=NOW).bytes) == (0, 0)
    assert redis_client.hgetall(UNACKED) == {}


@pytest.mark.parametrize("rest", [None, b"rest"])
def test_what_was_spooled_after_a_batch_stays(redis_client: redis.Redis, ledger: RedisLedger, rest: bytes | None) -> None:
    held_back(lambda: put(ledger, rest=rest))
    ledger.spool(Piece("c", b"later", b""))
    arrive()
    assert redis_client.lrange(SPOOL, 0, -1) == [*([rest] if rest else []), b"later"]


def test_a_piece_is_spooled_once(redis_client: redis.Redis, ledger: RedisLedger) -> None:
    held_back(lambda: ledger.spool(Piece("a", b"1", b"")))
    arrive()
    assert redis_client.lrange(SPOOL, 0, -1) == [b"1"]
    ledger.spool(Piece("b", b"2", b""))
    put(ledger, "c")
    assert redis_client.exists(SPOOL) == 0


def test_what_a_later_owner_took_over_is_left_alone(redis_client: redis.Redis, redis_url: str, ledger: RedisLedger) -> None:
    def cut_off() -> None:
        with pytest.raises(redis.ConnectionError):
            ledger.spool(Piece("a", b"1", b""))

    held_back(cut_off, times=5)
    RedisLedger(redis_client, registration=REGISTRATION, partition=0, token=2).open()
    arrive()
    assert redis_client.exists(SPOOL, UNACKED) == 0
