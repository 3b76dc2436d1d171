"""What the divvy action remembers between polls, in Redis; with the lock that keeps polls apart."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Protocol

from hort import keys, store

_FIELD = "memory"
_UNLOCK_LUA = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@dataclass(frozen=True, slots=True)
class Memory:
    """Documents that were published, stations of a document that was published in part, and what each station said last."""

    seen: list[str] = field(default_factory=list)
    partial_of: str = ""
    partial: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)


class PollState(Protocol):
    """What keeps the memory and the lock."""

    def lock(self, ttl_ms: int) -> str | None:
        """A token, or None while another poll holds the lock."""

    def unlock(self, token: str) -> None:
        """Gives the lock back if it is still ours."""

    def load(self) -> Memory:
        """The memory; an empty one at first."""

    def save(self, memory: Memory) -> None:
        """Replaces the memory."""


class RedisPollState:
    """Memory and lock in Redis."""

    def __init__(self, client: store.Client) -> None:
        self._client = client
        self._unlock = client.register_script(_UNLOCK_LUA)

    def lock(self, ttl_ms: int) -> str | None:
        """Takes the lock for `ttl_ms` at most."""
        token = secrets.token_hex(8)
        return token if self._client.set(keys.GBFS_LOCK, token, nx=True, px=ttl_ms) else None

    def unlock(self, token: str) -> None:
        """Gives the lock back if it is still ours."""
        self._unlock(keys=[keys.GBFS_LOCK], args=[token])

    def load(self) -> Memory:
        """The memory; one that cannot be read counts as empty."""
        raw = self._client.hget(keys.GBFS_STATE, _FIELD)
        try:
            return Memory(**json.loads(raw)) if raw else Memory()
        except (ValueError, TypeError):
            return Memory()

    def save(self, memory: Memory) -> None:
        """Replaces the memory."""
        self._client.hset(keys.GBFS_STATE, _FIELD, json.dumps(asdict(memory)))


class MemoryPollState:
    """Memory and lock of one process, for tests; the lock does not expire."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.token: str | None = None

    def lock(self, ttl_ms: int) -> str | None:  # noqa: ARG002 - as the port says
        """Takes the lock."""
        if self.token is not None:
            return None
        self.token = secrets.token_hex(8)
        return self.token

    def unlock(self, token: str) -> None:
        """Gives the lock back if it is still ours."""
        if self.token == token:
            self.token = None

    def load(self) -> Memory:
        """The memory."""
        return self.memory

    def save(self, memory: Memory) -> None:
        """Replaces the memory."""
        self.memory = memory
