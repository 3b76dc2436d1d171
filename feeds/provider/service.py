"""The life cycle of registrations: what the REST API may do, and what the supervisor builds. The one place that knows all parts."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import redis

from feeds.provider import connection
from feeds.provider.ledger import Ledger, RedisLedger
from feeds.provider.log import log
from feeds.provider.meters import Meters
from feeds.provider.registrations import Registration, Registrations, switched
from feeds.provider.removal import Removal
from feeds.provider.runner import Runner
from feeds.provider.whisk import Outcome, Target, Whisk
from hort import feed_options, keys, store
from hort.errors import FeedRefused, Fenced
from hort.feed import NO_FEED
from hort.feed_options import FeedConfig
from hort.journal import Journal

_FORGET_LUA = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
"""
PAUSED = {"kind": "ADMIN", "statusCode": None, "message": "paused"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the trigger, the key that proves the right to fire it, and the API host the feed action saw."""

    trigger: str
    auth_key: str
    api_host: str


class Lifecycle:
    """CREATE, READ, UPDATE, DELETE, PAUSE, UNPAUSE."""

    def __init__(
        self,
        registrations: Registrations,
        whisk: Whisk,
        *,
        api_host: str,
        clock: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self._registrations = registrations
        self._whisk = whisk
        self._api_host = api_host
        self._clock = clock
        self._changed = changed

    def create(self, caller: Caller, params: Mapping[str, Any], *, keep: Sequence[str] = ()) -> dict[str, Any]:
        """Registers, or replaces what is registered, of which the secrets named in `keep` stay; session and journal go on where they are the same."""
        target = self._target(caller)
        self._whisk.check(target)
        name = keys.registration_id(target.trigger)
        config = _checked({**self._kept(name, keep), **params})
        now = self._clock()

        def edit(old: Registration | None) -> Registration:
            generation = old.generation + 1 if old else 1
            client_id, width = _client_id(name, config, old), _width(config, old)
            return Registration(name, target, client_id, config, now, generation, width=width)

        return self._saved(name, edit, "created")

    def _kept(self, name: str, keep: Sequence[str]) -> dict[str, Any]:
        """What a registration holds of some parameters, also in its grace."""
        old = self._registrations.get(name) if keep else None
        return {option: getattr(old.config, option) for option in keep} if old is not None else {}

    def read(self, caller: Caller) -> dict[str, Any]:
        """Configuration and status."""
        self._whisk.check(self._target(caller))
        locked = self._registrations.locked().get(keys.registration_id(caller.trigger))
        return locked or self._shown(self._existing(caller))

    def update(self, caller: Caller, params: Mapping[str, Any], *, active: bool | None) -> dict[str, Any]:
        """Changes the parameters given (and switches on again), or only switches on or off."""
        target = self._target(caller)
        self._whisk.check(target)
        if not params and active is None:
            raise FeedRefused("no updatable parameters were specified")
        registration = self._existing(caller)
        config = _checked(_changed(registration.config, params)) if params else registration.config
        now = self._clock()

        def edit(old: Registration | None) -> Registration | None:
            if old is None:
                return None
            client_id = _client_id(old.id, config, old)
            width = _width(config, old)
            changed = replace(old, target=target, config=config, client_id=client_id, width=width)
            on = active is not False
            return switched(changed, active=on, reason=None if on else PAUSED, now=now)

        return self._saved(registration.id, edit, "updated")

    def delete(self, caller: Caller) -> dict[str, Any]:
        """Ends the feed; session and journal outlive it for the grace."""
        target = self._target(caller)
        self._whisk.check(target, may_be_gone=True)
        name, now = keys.registration_id(target.trigger), self._clock()

        def edit(old: Registration | None) -> Registration | None:
            if old is None or old.deleted_at is not None:
                return old
            return replace(old, deleted_at=now, generation=old.generation + 1)

        if self._registrations.change(name, edit) is not None:
            log("deleted", trigger=target.trigger, registration=name)
            self._changed()
        return {"status": "deleted", "triggerName": target.trigger}

    def list(self) -> list[dict[str, Any]]:
        """Every registration that is not deleted."""
        found = [registration for registration in self._registrations.all().values() if registration.deleted_at is None]
        rows = [self._shown(registration) for registration in found] + list(self._registrations.locked().values())
        return sorted(rows, key=lambda row: str(row["triggerName"]))

    def _target(self, caller: Caller) -> Target:
        host = self._api_host or caller.api_host
        if not host:
            raise FeedRefused("no API host: set HORT_API_HOST for the provider")
        parts = caller.trigger.split("/")
        if len(parts) != 3 or parts[0] or parts[1] in ("", "_") or not parts[2]:
            raise FeedRefused(f"trigger must be /namespace/name, got {caller.trigger!r}")
        return Target(host, caller.trigger, caller.auth_key)

    def _existing(self, caller: Caller) -> Registration:
        found = self._registrations.get(keys.registration_id(caller.trigger))
        if found is None or found.deleted_at is not None:
            raise FeedRefused(f"trigger {caller.trigger} {NO_FEED}")
        return found

    def _saved(self, name: str, edit: Callable[[Registration | None], Registration | None], action: str) -> dict[str, Any]:
        saved = self._registrations.change(name, edit)
        if saved is None:
            raise FeedRefused("the feed was removed at the same time")
        log(action, trigger=saved.trigger, registration=name, active=saved.active)
        self._changed()
        return self._shown(saved)

    def _shown(self, registration: Registration) -> dict[str, Any]:
        return registration.public(self._registrations.runtime(registration.id))


class RedisWorks:
    """Builds runners on Redis and MQTT, see `feeds.provider.supervisor.Works`."""

    def __init__(
        self,
        client: store.Client,
        journal: Journal,
        registrations: Registrations,
        whisk: Whisk,
        *,
        clock: Callable[[], int],
        steady: Callable[[], int],
        meters: Meters,
    ) -> None:
        self._client: Any = client
        self._forget = self._client.register_script(_FORGET_LUA)
        self._journal = journal
        self._registrations = registrations
        self._whisk = whisk
        self._clock = clock
        self._steady = steady
        self._meters = meters

    def runner(self, registration: Registration, token: int, switch_off: Callable[[Registration, Outcome], None]) -> Runner:
        """A runner that is not started."""
        ledgers: list[Ledger] = [
            RedisLedger(self._client, registration=registration.id, partition=partition, token=token)
            for partition in range(registration.width)
        ]
        return Runner(
            registration,
            ledgers=ledgers,
            subscriptions=_Subscriptions(self._registrations, registration.id),
            journal=self._journal,
            whisk=self._whisk,
            connect=connection.PahoConnection,
            clock=self._clock,
            steady=self._steady,
            meters=self._meters,
            switch_off=switch_off,
        )

    def purge(self, registration: Registration, token: int) -> int:
        """Ends the session, drops journal, spool, packet ids and fences; what is lost with them is told."""
        newest = self._client.hget(keys.FENCES, registration.id)
        if newest is not None and int(newest) != token:
            raise Fenced(f"token {token} of {registration.id} is not the newest")
        self.end_session(registration)
        removals = [
            Removal(self._client, registration=registration.id, partition=partition, token=token)
            for partition in range(registration.width)
        ]
        for removal in removals:
            removal.run()
            if removal.batches or removal.spooled:
                text = "the feed was deleted and its grace is over"
                facts = {"batches": removal.batches, "batch_ids": removal.shown, "spooled_pieces": removal.spooled}
                log("dropped", error=text, trigger=registration.trigger, **facts)
        self.forget(registration, token)
        return sum(removal.batches + removal.spooled for removal in removals)

    def forget(self, registration: Registration, token: int) -> None:
        """Compares and drops in one step."""
        self._forget(keys=[keys.FENCES], args=[registration.id, token])

    def end_session(self, registration: Registration) -> None:
        """A broker that does not answer keeps the session until it expires there."""
        if not connection.end_session(registration.config, registration.client_id, self._clock):
            self._meters.errors.labels(registration.trigger, "session").inc()
            log("session-kept", error="the broker did not answer", trigger=registration.trigger)


class _Subscriptions:
    def __init__(self, registrations: Registrations, name: str) -> None:
        self._registrations = registrations
        self._name = name

    def load(self) -> str:
        return self._registrations.subscribed(self._name)

    def save(self, text: str) -> None:
        self._registrations.set_subscribed(self._name, text)


def health(parts: Mapping[str, str], *, last_tick_ms: int, now: int, client: store.Client) -> dict[str, Any]:
    """Whether the service can do its work: `ok`, and what is wrong where it is not; `parts` name their own problems.

    `last_tick_ms` and `now` are of the steady clock.
    """
    problems = [f"{part}: {problem}" for part, problem in parts.items() if problem]
    if now - last_tick_ms > 15_000:
        problems.append("the supervisor has not ticked for 15 s")
    try:
        client.ping()
    except redis.RedisError as error:
        problems.append(f"Redis: {type(error).__name__}")
    return {"ok": not problems, "problems": problems}


def _checked(params: Mapping[str, Any]) -> FeedConfig:
    config = feed_options.parse(params)
    try:
        if feed_options.address(config.url).tls:
            connection.tls_context(config)
    except OSError as error:
        raise FeedRefused(f"parameters 'tls_ca', 'tls_cert', 'tls_key' cannot be used: {type(error).__name__}") from error
    return config


def _changed(config: FeedConfig, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters after an update; what follows from `delivery` unless given follows the new one."""
    follows = {"ack": "", "max_bytes": ""} if params.get("delivery", config.delivery) != config.delivery else {}
    return {**config.as_params(), **follows, **params}


def _width(config: FeedConfig, old: Registration | None) -> int:
    return max(config.partitions, old.width if old else 1)


def _client_id(name: str, config: FeedConfig, old: Registration | None) -> str:
    if config.client_id:
        return config.client_id
    made = f"hort-{name}-"
    if old is not None and old.client_id.startswith(made) and old.config.host == config.host:
        return old.client_id
    return made + secrets.token_hex(4)
