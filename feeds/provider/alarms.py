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
from feeds.provider.meters import Meters
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
        try:
            value = json.loads(raw)
            return {**value["alarm"], **self._vault.open(value["sealed"])}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FeedRefused(f"what is stored of the alarm cannot be read: {type(error).__name__}") from error


class Alarms:
    """The alarm part of a provider, in an event loop of its own thread; `ask` may be called from any thread."""

    def __init__(
        self,
        kept: AlarmStore,
        leases: Leases,
        whisk: AlarmWhisk,
        *,
        api_host: str,
        clock: Callable[[], int],
        meters: Meters,
    ) -> None:
        self._store = kept
        self._leases = leases
        self._whisk = whisk
        self._api_host = api_host
        self._clock = clock
        self._meters = meters
        self._token: int | None = None
        self._problem = ""
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._seen: dict[str, bytes] = {}
        self._service: AlarmService | None = None
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    @property
    def problem(self) -> str:
        """What keeps alarms from being served, in words; empty while all is well."""
        return self._problem if self._thread.is_alive() else "its thread does not run"

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
        self._meters.alarm_fires.labels(str(status)).inc()
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
                self._problem = ""
            except Exception as error:  # noqa: BLE001 - alarms survive what nobody foresaw, and health tells
                self._failed(f"{type(error).__name__}: {error}")
                if self._service is None:
                    await self._release()
            try:
                await asyncio.wait_for(self._stopping.wait(), TICK_S)
            except TimeoutError:
                continue
        await self._stand_down()

    def _failed(self, problem: str) -> None:
        self._problem = problem
        self._meters.errors.labels(LEASE, "alarms").inc()
        log("alarms-failed", error=problem)

    async def _tick(self) -> None:
        mine = await asyncio.to_thread(self._own)
        if self._service is not None and not self._service.running:
            service, self._service = self._service, None
            await service.close()
            self._failed("time was no longer kept: it begins anew")
        if mine and self._service is None:
            self._seen = await self._store.raw()
            service = AlarmService(self._store, self._fire, delete_trigger=self._delete_trigger, watcher=_Watcher(self._meters))
            try:
                await service.start()
            except Exception:
                await service.close()
                raise
            self._service = service
            log("alarms-serving", scheduled=service.scheduled)
        elif not mine and self._service is not None:
            await self._stand_down()
        elif self._service is not None:
            await self._catch_up(self._service)

    def _own(self) -> bool:
        if self._token is None or not self._leases.renew(LEASE, self._token):
            self._token = self._leases.acquire(LEASE)
        return self._token is not None

    async def _catch_up(self, service: AlarmService) -> None:
        """Takes over what was changed through other providers."""
        now = await self._store.raw()
        changed = [key for key in now.keys() | self._seen.keys() if now.get(key) != self._seen.get(key)]
        for key in changed:
            try:
                await service.refresh(key)
            except FeedRefused as error:
                log("alarm-unreadable", error=error, alarm=key)
        self._seen = now

    async def _stand_down(self) -> None:
        if self._service is None:
            return
        service, self._service = self._service, None
        await service.close()
        await self._release()

    async def _release(self) -> None:
        """Lets another provider keep time."""
        self._token = None
        try:
            await asyncio.to_thread(self._leases.release, LEASE)
        except redis.RedisError as error:
            log("release-failed", error=type(error).__name__)


class _Watcher:
    """Counts what does not happen, see `localwhisk.alarms.service.Watcher`."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def missed(self, key: str, reason: str, count: int) -> None:  # noqa: ARG002 - the port's signature
        self._meters.alarms_missed.labels(reason).inc(count)

    def disabled(self, key: str, status_code: int | None) -> None:  # noqa: ARG002 - the port's signature
        self._meters.alarms_disabled.labels("ended" if status_code is None else str(status_code)).inc()


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
