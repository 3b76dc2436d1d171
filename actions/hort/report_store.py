"""Reports on their way in Redis: a photo until it is read, and what it takes to know a repeated report again.

The photo rides by reference, like a batch: in a trigger's payload OpenWhisk would keep it, EXIF and all, in the activation
record for days. Here it is deleted as soon as the report is stored, and expires by itself otherwise; it is in Redis' memory alone,
not in its append-only file, and no replica has it. What a snapshot or a rewrite of that file finds in memory is sealed (`hort.seal`), and
the key is elsewhere. A Redis that ends loses the photo, and the report is sent again. No field of a report is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from hort import clock, keys, store

PHOTO_S = 15 * 60
"""How long a photo waits to be read."""
KNOWN_S = 24 * 3_600
"""How long a report's id is known."""
AGAIN_MS = 60_000
"""A report that is sent again fires again when it is not stored after this long: whatever was to read it is gone.

So it does where it was fired so long in the future: a clock was wrong.
"""

STARTING_MS = 20_000
"""How long a report may be between its note here and the note that its trigger was fired; then whoever wrote it is gone, or was never told."""

Begun = Literal["new", "starting", "waiting", "stored", "other"]
Status = Literal["waiting", "stored", "failed"]

_BEGIN = """
local known = redis.call('HMGET', KEYS[1], 'digest', 'status', 'fired_ms', 'activation')
if known[1] and known[1] ~= ARGV[1] then return 'other' end
if known[2] == 'stored' then return 'stored' end
if known[3] and known[2] ~= 'failed' then
  local age = math.abs(tonumber(ARGV[2]) - tonumber(known[3]))
  if known[4] and age < tonumber(ARGV[3]) then return 'waiting' end
  if not known[4] and age < tonumber(ARGV[8]) then return 'starting' end
end
redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'status', 'waiting', 'fired_ms', ARGV[2], 'token', ARGV[4])
redis.call('HDEL', KEYS[1], 'activation', 'reason')
redis.call('EXPIRE', KEYS[1], ARGV[5])
if ARGV[6] == '' then return 'new' end
if redis.set_repl then redis.set_repl(redis.REPL_NONE) end
redis.call('SET', KEYS[2], ARGV[6], 'EX', ARGV[7])
return 'new'
"""
_FAILED = """
local known = redis.call('HMGET', KEYS[1], 'status', 'fired_ms')
if known[1] ~= 'waiting' or known[2] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'status', 'failed', 'reason', ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a report: where it is, when it was last fired, the trigger's activation, and why it failed."""

    status: Status
    fired_ms: int
    activation: str = ""
    reason: str = ""


class Reports(Protocol):
    """What a store of reports must do."""

    def begin(self, report_id: str, *, digest: str, token: str, photo: bytes) -> Begun:
        """Notes a report that is about to be read; only at `new` anything was written.

        `waiting`: its trigger was fired; `starting`: it is about to be, by another request; `stored`: done; `other`: another report has this id. One that failed is new again. The photo is sealed; one of no bytes is not kept.
        """

    def photo(self, token: str) -> bytes | None:
        """The photo behind a token, while it waits."""

    def abandon(self, report_id: str) -> None:
        """Forgets a report that could not be started, and its photo."""

    def fired(self, report_id: str, activation: str) -> None:
        """Notes the trigger's activation that has a report read."""

    def stored(self, report_id: str) -> None:
        """Notes that a report is in the index, and deletes its photo."""

    def failed(self, report_id: str, *, fired_ms: int, reason: str) -> None:
        """Notes that nothing will come of a report that was fired then, and deletes its photo; unless it is stored, or fired again."""

    def known(self, report_id: str) -> Known | None:
        """What is known of a report; None where it is unknown (or forgotten)."""


class RedisReports:
    """Reports in Redis, see `Reports`."""

    def __init__(self, client: store.Client, *, now: Callable[[], int] = clock.now_ms) -> None:
        self._client: Any = client
        self._now = now

    def begin(self, report_id: str, *, digest: str, token: str, photo: bytes) -> Begun:
        """See `Reports`; one script, so that two requests with one id start one reading."""
        names = (keys.report(report_id), keys.photo(token))
        values = (digest, self._now(), AGAIN_MS, token, KNOWN_S, photo, PHOTO_S, STARTING_MS)
        begun: Begun = self._client.eval(_BEGIN, len(names), *names, *values).decode()
        return begun

    def photo(self, token: str) -> bytes | None:
        """See `Reports`."""
        found: bytes | None = self._client.get(keys.photo(token))
        return found

    def abandon(self, report_id: str) -> None:
        """See `Reports`."""
        self._drop_photo(report_id)
        self._client.delete(keys.report(report_id))

    def stored(self, report_id: str) -> None:
        """See `Reports`."""
        self._drop_photo(report_id)
        if self._client.exists(keys.report(report_id)):
            self._client.hset(keys.report(report_id), "status", "stored")

    def fired(self, report_id: str, activation: str) -> None:
        """See `Reports`."""
        if self._client.exists(keys.report(report_id)):
            self._client.hset(keys.report(report_id), "activation", activation)

    def failed(self, report_id: str, *, fired_ms: int, reason: str) -> None:
        """See `Reports`."""
        if self._client.eval(_FAILED, 1, keys.report(report_id), fired_ms, reason):
            self._drop_photo(report_id)

    def known(self, report_id: str) -> Known | None:
        """See `Reports`."""
        found = {name.decode(): value.decode() for name, value in self._client.hgetall(keys.report(report_id)).items()}
        if "status" not in found:
            return None
        return Known(found["status"], int(found.get("fired_ms", 0)), found.get("activation", ""), found.get("reason", ""))

    def _drop_photo(self, report_id: str) -> None:
        token = self._client.hget(keys.report(report_id), "token")
        if token is not None:
            self._client.delete(keys.photo(token.decode()))


@dataclass
class _Held:
    digest: str
    token: str
    known: Known


class MemoryReports:
    """Reports of one process, which never expire, see `Reports`."""

    def __init__(self, *, now: Callable[[], int] = clock.now_ms) -> None:
        self._held: dict[str, _Held] = {}
        self._photos: dict[str, bytes] = {}
        self._now = now

    def begin(self, report_id: str, *, digest: str, token: str, photo: bytes) -> Begun:
        """See `Reports`."""
        held = self._held.get(report_id)
        if held is not None and held.digest != digest:
            return "other"
        if held is not None and held.known.status == "stored":
            return "stored"
        if held is not None and held.known.status == "waiting":
            age = abs(self._now() - held.known.fired_ms)
            if held.known.activation and age < AGAIN_MS:
                return "waiting"
            if not held.known.activation and age < STARTING_MS:
                return "starting"
        self._held[report_id] = _Held(digest, token, Known("waiting", self._now()))
        if photo:
            self._photos[token] = photo
        return "new"

    def photo(self, token: str) -> bytes | None:
        """See `Reports`."""
        return self._photos.get(token)

    def abandon(self, report_id: str) -> None:
        """See `Reports`."""
        held = self._held.pop(report_id, None)
        if held is not None:
            self._photos.pop(held.token, None)

    def fired(self, report_id: str, activation: str) -> None:
        """See `Reports`."""
        self._change(report_id, activation=activation)

    def stored(self, report_id: str) -> None:
        """See `Reports`."""
        self._change(report_id, status="stored")

    def failed(self, report_id: str, *, fired_ms: int, reason: str) -> None:
        """See `Reports`."""
        known = self.known(report_id)
        if known is not None and (known.status, known.fired_ms) == ("waiting", fired_ms):
            self._change(report_id, status="failed", reason=reason)

    def known(self, report_id: str) -> Known | None:
        """See `Reports`."""
        held = self._held.get(report_id)
        return None if held is None else held.known

    def _change(self, report_id: str, **changes: str) -> None:
        held = self._held.get(report_id)
        if held is None:
            return
        held.known = replace(held.known, **changes)  # type: ignore[arg-type]  # mypy takes each for every field
        if "status" in changes:
            self._photos.pop(held.token, None)
