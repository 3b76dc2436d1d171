"""When, to the byte, a client is cut off between the effect of its request and the answer."""

from __future__ import annotations

import os
import signal

import pytest

from campaign import effects
from campaign.effects import Effects, Kind, Turns

CLIENT, PROXY = ("127.0.0.1", 40_000), ("127.0.0.1", 6379)


class Connection:
    """A connection under orders that remembers whether it was cut."""

    def __init__(self, orders: Effects) -> None:
        self.is_cut = False
        self.turns = Turns(orders, addresses=(CLIENT, PROXY), cut=self._cut)
        self._server_spoke = True

    def _cut(self) -> None:
        self.is_cut = True

    def asks(self, data: bytes) -> None:
        self.turns.asked(data, first=self._server_spoke)
        self._server_spoke = False

    def gets(self, data: bytes) -> bool:
        self._server_spoke = True
        return self.turns.answered(data)


def command(*words: str) -> bytes:
    return f"*{len(words)}\r\n".encode() + b"".join(f"${len(word)}\r\n{word}\r\n".encode() for word in words)


@pytest.fixture
def orders() -> Effects:
    return Effects(lambda pid: pid == 4711)


@pytest.fixture
def connection(orders: Effects) -> Connection:
    return Connection(orders)


def test_without_a_match_everything_passes(orders: Effects, connection: Connection) -> None:
    orders.order(Kind.CUT, b"INCR", 1)
    connection.asks(command("GET", "n"))
    assert connection.gets(b"$1\r\n7\r\n")
    assert not connection.is_cut
    assert orders.disarm() == 1


def test_the_first_byte_of_the_answer_cuts_and_is_withheld(orders: Effects, connection: Connection) -> None:
    orders.order(Kind.CUT, b"INCR", 1)
    connection.asks(command("INCR", "n"))
    assert not connection.gets(b":7\r\n")
    assert connection.is_cut
    assert orders.counts == {"cut": 1}
    assert not orders.armed


def test_of_a_pipeline_all_requests_are_being_answered_first(orders: Effects, connection: Connection) -> None:
    orders.order(Kind.CUT, b"INCR", 1)
    connection.asks(command("INCR", "n") + command("LRANGE", "l", "0", "1") + command("GET", "n")[:7])
    assert not connection.gets(b":1\r\n*2\r\n$1\r\na\r\n")
    assert not connection.gets(b"$1\r\nb\r\n")
    assert not connection.is_cut
    connection.asks(command("GET", "n")[7:])
    assert not connection.is_cut
    assert not connection.gets(b"$1\r\n1\r\n")
    assert connection.is_cut


def test_a_command_of_a_transaction_has_its_effect_with_exec(orders: Effects, connection: Connection) -> None:
    orders.order(Kind.CUT, b"INCR", 1)
    connection.asks(command("MULTI") + command("INCR", "n"))
    assert not connection.gets(b"+OK\r\n+QUEUED\r")
    assert not connection.gets(b"\n")
    assert not connection.is_cut
    connection.asks(command("EXEC"))
    assert not connection.gets(b"*1\r\n:1\r\n")
    assert connection.is_cut


def test_a_match_over_several_reads_is_found(orders: Effects, connection: Connection) -> None:
    orders.order(Kind.CUT, b"needle", 1)
    text = command("SET", "key", "x" * 20 + "needle" + "y" * 20)
    for at in range(len(text)):
        connection.asks(text[at : at + 1])
    assert not connection.gets(b"+OK\r\n")
    assert connection.is_cut


def test_two_turns_make_no_match_together(orders: Effects, connection: Connection) -> None:
    orders.order(Kind.CUT, b"nee\r\n*1", 1)
    for word in ("nee", "dle"):
        connection.asks(command(word))
        assert connection.gets(b"+OK\r\n")


def test_a_pipeline_answered_while_it_is_sent_is_one_turn(orders: Effects, connection: Connection) -> None:
    """The match comes when the server has spoken, in a read that begins within a command."""
    orders.order(Kind.CUT, b"INCR", 1)
    connection.asks(command("GET", "a") + command("GET", "b") + command("SET", "c", "long")[:-6])
    assert connection.gets(b"$1\r\n1\r\n")
    connection.asks(b"long\r\n"[-6:] + command("INCR", "n"))
    assert not connection.gets(b"$1\r\n2\r\n+OK\r\n")
    assert not connection.is_cut
    assert not connection.gets(b":")
    assert not connection.is_cut  # its first line tells whether it was only queued
    assert not connection.gets(b"1\r\n")
    assert connection.is_cut


def test_a_request_under_way_when_the_order_comes_is_left_alone(
    orders: Effects, connection: Connection
) -> None:
    connection.asks(command("INCR", "n")[:5])
    orders.order(Kind.CUT, b"INCR", 1)
    connection.asks(command("INCR", "n")[5:])
    assert connection.gets(b":1\r\n")
    connection.asks(command("INCR", "n"))
    assert not connection.gets(b":2\r\n")


def test_of_other_protocols_the_first_byte_counts(orders: Effects, connection: Connection) -> None:
    orders.order(Kind.CUT, b"_bulk", 1)
    connection.asks(b"POST /i/_bulk HTTP/1.1\r\ncontent-length: 3\r\n\r\n")
    connection.asks(b"{}\n")
    assert not connection.gets(b"H")
    assert connection.is_cut


def test_orders_are_carried_out_as_often_as_given_and_in_their_order(orders: Effects) -> None:
    orders.order(Kind.CUT, b"INCR", 2)
    orders.order(Kind.CUT, b"_bulk", 1)
    cut = []
    for _ in range(4):
        connection = Connection(orders)
        connection.asks(command("INCR", "n"))
        connection.gets(b":1\r\n")
        cut.append(connection.is_cut)
    assert cut == [True, True, False, False]
    assert orders.disarm() == 1


def test_a_connection_that_goes_before_its_answer_leaves_the_order_to_the_next(
    orders: Effects, connection: Connection
) -> None:
    orders.order(Kind.CUT, b"INCR", 1)
    connection.asks(command("INCR", "n"))
    connection.turns.lost()
    assert orders.counts == {}
    assert orders.disarm() == 1


@pytest.mark.parametrize(
    ("holders", "killed"), [([], []), ([4712], []), ([4711], [4711]), ([4710, 4711], [4711]), ([1], [])]
)
def test_only_those_one_may_kill_are_killed(
    orders: Effects, monkeypatch: pytest.MonkeyPatch, holders: list[int], killed: list[int]
) -> None:
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(effects, "owners", lambda client, proxy: holders)
    monkeypatch.setattr(os, "kill", lambda pid, number: done.append((pid, number)))
    orders.order(Kind.KILL, b"INCR", 1)
    connection = Connection(orders)
    connection.asks(command("INCR", "n"))
    connection.gets(b":1\r\n")
    assert done == [(pid, signal.SIGKILL) for pid in killed]
    assert orders.counts == ({"killed": 1} if killed else {"spared": 1})
    assert connection.is_cut
