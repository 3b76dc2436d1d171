"""Registrations: which trigger gets which messages. Kept in Redis, secrets encrypted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from feeds.provider.log import log
from feeds.provider.vault import Vault
from feeds.provider.whisk import Target
from hort import clock, feed_options, keys, store
from hort.errors import ConfigError, FeedRefused
from hort.feed_options import FeedConfig


@dataclass(frozen=True, slots=True)
class Registration:
    """One feed of one trigger; `deleted_at` is set while session and journal outlive a DELETE; times in milliseconds.

    `width` is the greatest number of partitions it ever had: what lies in the others is still served when there are fewer.
    """

    id: str
    target: Target
    client_id: str
    config: FeedConfig
    date_changed: int
    generation: int = 1
    active: bool = True
    reason: dict[str, Any] | None = None
    deleted_at: int | None = None
    width: int = 1

    @property
    def trigger(self) -> str:
        """The trigger's fully qualified name."""
        return self.target.trigger

    @property
    def session(self) -> tuple[str, str]:
        """Where the broker keeps messages for it: host and client id; another scheme, port or path is another way to the same session."""
        return self.config.host, self.client_id

    def status(self, *, hold: str = "", refused: str = "") -> dict[str, Any]:
        """The status as package-kafka and package-alarms show it; `hold` and `refused` keep an active feed from its work."""
        status: dict[str, Any] = {
            "active": self.active,
            "dateChanged": self.date_changed,
            "dateChangedISO": clock.iso(self.date_changed),
        }
        reason = self.reason
        if reason is None and refused:
            reason = {"kind": "SUBSCRIPTION", "statusCode": None, "message": refused}
        elif reason is None and hold:
            reason = {"kind": "HOLD", "statusCode": 204, "message": hold}
        return {**status, "reason": reason} if reason else status

    def public(self, runtime: dict[str, Any]) -> dict[str, Any]:
        """What READ answers: no secret in it."""
        return {
            "id": self.id,
            "triggerName": self.trigger,
            "config": {**self.config.public(), "client_id": self.client_id},
            "status": self.status(hold=runtime.get("hold", ""), refused=runtime.get("refused", "")),
            "connected": bool(runtime.get("connected")),
            "subscribed": runtime.get("generation") == self.generation and bool(runtime.get("subscribed")),
            "connection": runtime.get("problem", "no provider serves it yet") or "connected",
            "journal": {name: runtime.get(name, 0) for name in ("batches", "bytes", "in_flight", "held_back_since")},
        }


class Registrations(Protocol):
    """What a store of registrations must do; `unreadable` says how many `all` could not read."""

    unreadable: int

    def all(self) -> dict[str, Registration]:
        """Every registration by id, deleted ones in their grace included."""

    def get(self, registration: str) -> Registration | None:
        """One registration."""

    def locked(self) -> dict[str, dict[str, Any]]:
        """Those that cannot be read here, by id, as READ shows them: switched off, with the reason."""

    def change(self, registration: str, edit: Callable[[Registration | None], Registration | None]) -> Registration | None:
        """Replaces a registration by what `edit` makes of it (None: removes it), atomically; returns the new one."""

    def runtime(self, registration: str) -> dict[str, Any]:
        """What its owner last reported."""

    def report(self, registration: str, facts: dict[str, Any], *, ttl_s: int) -> None:
        """Keeps what the owner sees, for a while."""

    def subscribed(self, registration: str) -> str:
        """See `feeds.provider.link.Subscriptions`."""

    def set_subscribed(self, registration: str, text: str) -> None:
        """See `feeds.provider.link.Subscriptions`."""


def _locked(name: str, raw: bytes, reason: str) -> dict[str, Any]:
    """What can be told of a registration without opening it."""
    try:
        value = json.loads(raw)
        trigger, changed = str(value["trigger"]), int(value["date_changed"])
    except (ValueError, KeyError, TypeError):
        trigger, changed = "", 0
    status = {
        "active": False,
        "dateChanged": changed,
        "dateChangedISO": clock.iso(changed),
        "reason": {"kind": "LOCKED", "statusCode": None, "message": f"{reason}; create the feed again, or give the provider that key"},
    }
    return {"id": name, "triggerName": trigger, "status": status, "connected": False, "subscribed": False}


def switched(registration: Registration, *, active: bool, reason: dict[str, Any] | None, now: int) -> Registration:
    """The registration, switched on or off."""
    return replace(
        registration, active=active, reason=reason, date_changed=now, generation=registration.generation + 1
    )


class RedisRegistrations:
    """Registrations in one Redis hash."""

    def __init__(self, client: store.Client, vault: Vault) -> None:
        self._client: Any = client
        self._vault = vault
        self._told: dict[str, bytes] = {}
        self._telling = threading.Lock()
        self.unreadable = 0

    def all(self) -> dict[str, Registration]:
        """Those that can be read; the others are logged once and `locked`, not lost."""
        rows = self._client.hgetall(keys.REGISTRATIONS)
        read = {name.decode(): self._readable(name.decode(), raw) for name, raw in rows.items()}
        found = {name: registration for name, registration in read.items() if registration is not None}
        self.unreadable = len(read) - len(found)
        return found

    def locked(self) -> dict[str, dict[str, Any]]:
        """Those whose secrets another key has sealed, or whose text was damaged."""
        found = {}
        for name, raw in self._client.hgetall(keys.REGISTRATIONS).items():
            try:
                self._decode(raw)
            except FeedRefused as error:
                found[name.decode()] = _locked(name.decode(), raw, str(error))
        return found

    def get(self, registration: str) -> Registration | None:
        """One registration."""
        raw = self._client.hget(keys.REGISTRATIONS, registration)
        return None if raw is None else self._decode(raw)

    def change(self, registration: str, edit: Callable[[Registration | None], Registration | None]) -> Registration | None:
        """Compare and set: the hash is watched while `edit` runs. One that cannot be read (the key was lost) can be made anew."""
        result: Registration | None = None

        def transaction(pipeline: Any) -> None:
            nonlocal result
            raw = pipeline.hget(keys.REGISTRATIONS, registration)
            result = edit(None if raw is None else self._readable(registration, raw))
            pipeline.multi()
            if result is None:
                pipeline.hdel(keys.REGISTRATIONS, registration)
                pipeline.delete(keys.subscribed(registration), keys.runtime(registration))
            else:
                pipeline.hset(keys.REGISTRATIONS, registration, self._encode(result))

        self._client.transaction(transaction, keys.REGISTRATIONS)
        return result

    def runtime(self, registration: str) -> dict[str, Any]:
        """What its owner last reported, if that is not too old."""
        raw = self._client.get(keys.runtime(registration))
        return {} if raw is None else dict(json.loads(raw))

    def report(self, registration: str, facts: dict[str, Any], *, ttl_s: int) -> None:
        """Keeps what the owner sees."""
        self._client.set(keys.runtime(registration), json.dumps(facts), ex=ttl_s)

    def subscribed(self, registration: str) -> str:
        """What the session is subscribed to."""
        raw = self._client.get(keys.subscribed(registration))
        return "" if raw is None else str(raw.decode())

    def set_subscribed(self, registration: str, text: str) -> None:
        """Remembers what the session is subscribed to."""
        self._client.set(keys.subscribed(registration), text)

    def _encode(self, registration: Registration) -> str:
        params = registration.config.as_params()
        secrets = {name: params.pop(name) for name in feed_options.SECRETS}
        return json.dumps(
            {
                "id": registration.id,
                "trigger": registration.trigger,
                "api_host": registration.target.api_host,
                "client_id": registration.client_id,
                "params": params,
                "sealed": self._vault.seal({"auth_key": registration.target.auth_key, "params": secrets}),
                "date_changed": registration.date_changed,
                "generation": registration.generation,
                "active": registration.active,
                "reason": registration.reason,
                "deleted_at": registration.deleted_at,
                "width": registration.width,
            }
        )

    def _readable(self, name: str, raw: bytes) -> Registration | None:
        try:
            return self._decode(raw)
        except FeedRefused as error:
            with self._telling:
                known, self._told[name] = self._told.get(name), raw
            if known != raw:
                log("registration-unreadable", error=error, registration=name)
            return None

    def _decode(self, raw: bytes) -> Registration:
        try:
            value = json.loads(raw)
            return self._built(value, self._vault.open(value["sealed"]))
        except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FeedRefused(f"what is stored of the feed cannot be read: {type(error).__name__}") from error

    def _built(self, value: dict[str, Any], opened: dict[str, Any]) -> Registration:
        return Registration(
            id=value["id"],
            target=Target(value["api_host"], value["trigger"], opened["auth_key"]),
            client_id=value["client_id"],
            config=feed_options.parse({**value["params"], **opened["params"]}),
            date_changed=value["date_changed"],
            generation=value["generation"],
            active=value["active"],
            reason=value["reason"],
            deleted_at=value["deleted_at"],
            width=value["width"],
        )
