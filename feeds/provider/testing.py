"""In-memory twins of the provider's ports, for tests without sockets: ledger, OpenWhisk, registrations, leases."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from feeds.provider.ledger import DOUBT_MARK, KEPT_MARK, Left, Piece, marked, sorted_out
from feeds.provider.registrations import Registration
from feeds.provider.whisk import Outcome, Target
from hort.batch import Reference
from hort.errors import FeedRefused, Fenced
from hort.fires import Started
from hort.testing import MemoryJournal


class MemoryLedger:
    """A ledger over a MemoryJournal; `away` makes each call fail as a Redis that is down."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.away = False
        self.fence = [0]
        self.token = 0
        self.spooled: list[bytes] = []
        self.unacked: dict[str, bytes] = {}
        self._journal = journal

    def owned(self, token: int) -> MemoryLedger:
        """The same ledger in the hands of the owner with this token."""
        other = copy.copy(self)
        other.token = token
        return other

    def open(self) -> Left:
        """Raises the fence."""
        self._reach()
        if self.fence[0] > self.token:
            raise Fenced("older")
        self.fence[0] = self.token
        left, gone = sorted_out(self.unacked)
        self._drop(gone)
        return Left(tuple(self.spooled), *left)

    def check(self) -> None:
        """Looks at the fence."""
        self._reach()
        if self.fence[0] != self.token:
            raise Fenced("older")

    def spool(self, piece: Piece) -> None:
        """Keeps messages."""
        if self._fresh(piece):
            self.spooled.append(piece.raw)

    def put(
        self, piece: Piece, reference: Reference, *, trigger: str, count: int, now: int, due_ms: int, rest: bytes | None = None
    ) -> None:
        """Journals."""
        if self._fresh(piece):
            self._journal.put(reference, piece.raw, trigger=trigger, count=count, now=now, due_ms=due_ms)
            self.spooled[:] = [rest] if rest else []

    def keep(self, chunks: Sequence[str]) -> None:
        """Adds marks."""
        self._reach()
        self.unacked.update({KEPT_MARK + name: b"" for name in chunks})

    def doubt(self, *, doubted: bool) -> None:
        """Adds or takes a mark."""
        self._reach()
        if doubted:
            self.unacked[f"{DOUBT_MARK}{self.token}"] = b""
        else:
            self._drop([f"{DOUBT_MARK}{self.token}"])

    def forget(self, chunks: Sequence[str]) -> None:
        """Drops packet ids."""
        self._reach()
        self._drop(marked(chunks))

    def _drop(self, fields: Sequence[str]) -> None:
        for name in fields:
            self.unacked.pop(name, None)

    def _fresh(self, piece: Piece) -> bool:
        self.check()
        if piece.chunk in self.unacked:
            return False
        self.unacked[piece.chunk] = piece.ids
        return True

    def _reach(self) -> None:
        if self.away:
            raise redis.ConnectionError("away")


class MemorySubscriptions:
    """What a session is subscribed to."""

    def __init__(self) -> None:
        self.text = ""

    def load(self) -> str:
        """The text."""
        return self.text

    def save(self, text: str) -> None:
        """Keeps it."""
        self.text = text


@dataclass
class MemoryWhisk:
    """An OpenWhisk that answers as told; the last answer is repeated."""

    answers: list[Outcome] = field(default_factory=lambda: [Outcome("accepted", 202, activation="a" * 32)])
    rules: Started = field(default_factory=lambda: Started(known=True))
    ended: dict[str, bool] = field(default_factory=dict)
    refuse: str = ""
    fires: list[dict[str, Any]] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    clock: Callable[[], int] = lambda: 0

    def fire(self, target: Target, payload: dict[str, Any]) -> Outcome:
        """Notes the fire."""
        del target
        self.fires.append(payload)
        self.at.append(self.clock())
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def started(self, target: Target, activation: str) -> Started:
        """What the rules did."""
        del target, activation
        return self.rules

    def succeeded(self, target: Target, activation: str) -> bool | None:
        """How an action ended."""
        del target
        return self.ended.get(activation)

    def check(self, target: Target, *, may_be_gone: bool = False) -> None:
        """Refuses with a text, where there is one."""
        del target, may_be_gone
        if self.refuse:
            raise FeedRefused(self.refuse)


class MemoryRegistrations:
    """Registrations of one process."""

    def __init__(self) -> None:
        self.rows: dict[str, Registration] = {}
        self.unreadable = 0
        self.facts: dict[str, dict[str, Any]] = {}
        self.texts: dict[str, str] = {}

    def all(self) -> dict[str, Registration]:
        """Every registration."""
        return dict(self.rows)

    def get(self, registration: str) -> Registration | None:
        """One registration."""
        return self.rows.get(registration)

    def locked(self) -> dict[str, dict[str, Any]]:
        """Nothing is sealed here."""
        return {}

    def change(self, registration: str, edit: Callable[[Registration | None], Registration | None]) -> Registration | None:
        """Replaces or removes."""
        new = edit(self.rows.get(registration))
        if new is None:
            self.rows.pop(registration, None)
            self.texts.pop(registration, None)
        else:
            self.rows[registration] = new
        return new

    def runtime(self, registration: str) -> dict[str, Any]:
        """The last report."""
        return self.facts.get(registration, {})

    def report(self, registration: str, facts: dict[str, Any], *, ttl_s: int) -> None:
        """Keeps a report."""
        del ttl_s
        self.facts[registration] = facts

    def subscribed(self, registration: str) -> str:
        """The text."""
        return self.texts.get(registration, "")

    def set_subscribed(self, registration: str, text: str) -> None:
        """Keeps it."""
        self.texts[registration] = text


class MemoryLeases:
    """The leases of one provider over rows that several share; `expire` is what time does to them."""

    def __init__(self, provider: str = "here", rows: dict[str, str] | None = None, tokens: dict[str, int] | None = None) -> None:
        self.provider = provider
        self.rows: dict[str, str] = {} if rows is None else rows
        self.tokens: dict[str, int] = {} if tokens is None else tokens
        self.renewed: list[str] = []
        self.away = False
        self.providers = 1

    def other(self, provider: str) -> MemoryLeases:
        """Those of another provider."""
        return MemoryLeases(provider, self.rows, self.tokens)

    def expire(self) -> None:
        """Nobody has renewed for too long."""
        self.rows.clear()

    def beat(self) -> int:
        """How many providers are alive."""
        self._reach()
        return self.providers

    def acquire(self, registration: str) -> int | None:
        """Takes a free lease."""
        self._reach()
        if registration in self.rows:
            return None
        self.rows[registration] = self.provider
        self.tokens[registration] = self.tokens.get(registration, 0) + 1
        return self.tokens[registration]

    def renew(self, registration: str, token: int) -> bool:
        """Extends, or takes back what nobody had in the meantime."""
        self._reach()
        self.renewed.append(registration)
        if registration not in self.rows and self.tokens.get(registration) == token:
            self.rows[registration] = self.provider
        return self.rows.get(registration) == self.provider

    def release(self, registration: str) -> None:
        """Gives up."""
        self._reach()
        if self.rows.get(registration) == self.provider:
            del self.rows[registration]

    def leave(self) -> None:
        """Ends."""
        self._reach()

    def _reach(self) -> None:
        if self.away:
            raise redis.ConnectionError("away")
