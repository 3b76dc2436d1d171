"""Alarms for an OpenWhisk that has none: `localwhisk.alarms` over Redis; one provider at a time keeps time, the others stand by."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import redis

from feeds.provider.leases import Leases
from feeds.provider.log import log
from feeds.provider.vault import Vault
from feeds.provider.whisk import AlarmWhisk, Target
from hort import keys, store
from hort.errors import FeedRefused
from localwhisk.alarms.feed import Feed
from localwhisk.alarms.schedule import Registration
from localwhisk.alarms.service import AlarmService

LEASE = "alarms"
TICK_S = 1.0
CALL_TIMEOUT_S = 25.0


class AlarmStore:
    """Registrations in one Redis hash, see `localwhisk.alarms.store.Store`; the owner's key is sealed."""

    def __init__(self, client: store.Client, vault: Vault) -> None:
        self._client: Any = client
        self._vault = vault

    async def get(self, key: str) -> Registration | None:
        """Reads one."""
        raw = await asyncio.to_thread(self._client.hget, keys.ALARMS, key)
        return None if raw is None else self._decode(raw)

    async def put(self, key: str, registration: Registration) -> None:
        """Writes or replaces one."""
        await asyncio.to_thread(self._client.hset, keys.ALARMS, key, self._encode(registration))

    async def delete(self, key: str) -> bool:
        """Removes one."""
        return bool(await asyncio.to_thread(self._client.hdel, keys.ALARMS, key))

    async def list(self) -> list[tuple[str, Registration]]:
        """Reads all that can be read."""
        found = []
        for key, raw in (await self.raw()).items():
            try:
                found.append((key, self._decode(raw)))
            except FeedRefused as error:
                log("alarm-unreadable", error=error, alarm=key)
        return found

    async def raw(self) -> dict[str, bytes]:
        """What is stored, unopened: to see what changed."""
        rows = await asyncio.to_thread(self._client.hgetall, keys.ALARMS)
        return {key.decode(): raw for key, raw in rows.items()}

    def _encode(self, registration: Registration) -> str:
        shown = {name: value for name, value in registration.items() if name != "apikey"}
        return json.dumps({"sealed": self._vault.seal({"apikey": registration.get("apikey", "")}), "alarm": shown})

    def _decode(self, raw: bytes) -> Registration:
        value = json.loads(raw)
        return {**value["alarm"], **self._vault.open(value["sealed"])}


class Alarms:
    """The alarm part of a provider, in an event loop of its own thread; `ask` may be called from any thread."""

    def __init__(
        self, kept: AlarmStore, leases: Leases, whisk: AlarmWhisk, *, api_host: str, clock: Callable[[], int]
    ) -> None:
        self._store = kept
        self._leases = leases
        self._whisk = whisk
        self._api_host = api_host
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._seen: dict[str, bytes] = {}
        self._service: AlarmService | None = None
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it and gives the lease up."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(CALL_TIMEOUT_S)

    def ask(self, kind: str, params: dict[str, Any], *, namespace: str, api_host: str) -> dict[str, Any]:
        """One life-cycle call; the result as the feed action gives it."""
        host = self._api_host or api_host
        if not host:
            raise FeedRefused("no API host: set HORT_API_HOST for the provider")
        if not namespace:
            raise FeedRefused("parameter 'namespace' must be given")
        work = self._answer(kind, params, namespace, host)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)

    async def _answer(self, kind: str, params: dict[str, Any], namespace: str, host: str) -> dict[str, Any]:
        feed = Feed(
            _Homed(self._store, host),
            changed=self._changed,
            authorize=lambda registration: self._status(self._whisk.trigger_status, {**registration, "api_host": host}),
            now_ms=self._clock,
        )
        return await feed.result(kind, params, namespace=namespace)

    async def _changed(self, key: str) -> None:
        if self._service is not None:
            await self._service.refresh(key)

    async def _status(self, act: Callable[..., int], registration: Registration, *arguments: object) -> int:
        return await asyncio.to_thread(act, target_of(registration), *arguments)

    async def _fire(self, registration: Registration) -> int:
        status = await self._status(self._whisk.fire_status, registration, registration["payload"])
        log("alarm-fired", alarm=f"{registration['namespace']}/{registration['name']}", status=status)
        return status

    async def _delete_trigger(self, registration: Registration, *, rules: bool) -> None:
        await asyncio.to_thread(self._whisk.delete_trigger, target_of(registration), rules=rules)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._work())
        finally:
            self._loop.close()

    async def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._tick()
            except (redis.RedisError, FeedRefused) as error:
                log("alarms-failed", error=f"{type(error).__name__}: {error}")
            try:
                await asyncio.wait_for(self._stopping.wait(), TICK_S)
            except TimeoutError:
                continue
        await self._stand_down()

    async def _tick(self) -> None:
        mine = await asyncio.to_thread(self._own)
        if mine and self._service is None:
            self._seen = await self._store.raw()
            service = AlarmService(self._store, self._fire, delete_trigger=self._delete_trigger)
            await service.start()
            self._service = service
            log("alarms-serving", scheduled=service.scheduled)
        elif not mine and self._service is not None:
            await self._stand_down()
        elif self._service is not None:
            await self._catch_up(self._service)

    def _own(self) -> bool:
        if self._service is not None:
            return self._leases.renew(LEASE)
        return self._leases.acquire(LEASE) is not None

    async def _catch_up(self, service: AlarmService) -> None:
        """Takes over what was changed through other providers."""
        now = await self._store.raw()
        changed = [key for key in now.keys() | self._seen.keys() if now.get(key) != self._seen.get(key)]
        self._seen = now
        for key in changed:
            await service.refresh(key)

    async def _stand_down(self) -> None:
        if self._service is None:
            return
        service, self._service = self._service, None
        await service.close()
        try:
            await asyncio.to_thread(self._leases.release, LEASE)
        except redis.RedisError as error:
            log("release-failed", error=type(error).__name__)


class _Homed:
    """A store that notes with each registration which OpenWhisk it belongs to."""

    def __init__(self, inner: AlarmStore, api_host: str) -> None:
        self._inner = inner
        self._api_host = api_host
        self.get, self.delete, self.list = inner.get, inner.delete, inner.list

    async def put(self, key: str, registration: Registration) -> None:
        await self._inner.put(key, {**registration, "api_host": self._api_host})


def target_of(registration: Registration) -> Target:
    """The trigger of an alarm."""
    trigger = f"/{registration['namespace']}/{registration['name']}"
    return Target(registration["api_host"], trigger, registration.get("apikey", ""))
