"""The feed actions /whisk.system/alarms/{alarm,once,interval}: one lifecycle call in, the action's result out.

CREATE over an existing alarm replaces it. DELETE of an unknown one succeeds, unlike the real service, as deploy tools
send DELETE before each CREATE. PAUSE and UNPAUSE, which the real service refuses, switch the alarm off and on.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from localwhisk.alarms import dates, schedule, texts
from localwhisk.alarms.errors import AlarmError
from localwhisk.alarms.schedule import Registration
from localwhisk.alarms.store import Store
from localwhisk.alarms.texts import Kind

Params = Mapping[str, Any]
Authorize = Callable[[Registration], Awaitable[int]]
"""Asks whether the trigger can be read with the key given: HTTP status of that GET."""

SUCCESS = {"status": "success"}


@dataclass(frozen=True, slots=True)
class _Call:
    kind: Kind
    params: Params
    identity: Registration


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _anyone(_: Registration) -> int:
    return 200


async def _nobody_listens(_: str) -> None:
    return None


class Feed:
    """Answers lifecycle calls over a store; `changed` is told the key of each alarm that was touched."""

    def __init__(
        self,
        store: Store,
        *,
        changed: Callable[[str], Awaitable[None]] = _nobody_listens,
        authorize: Authorize = _anyone,
        five_fields_only: bool = False,
        now_ms: Callable[[], int] = _now_ms,
    ) -> None:
        self._store = store
        self._changed = changed
        self._authorize = authorize
        self._five_fields_only = five_fields_only
        self._now_ms = now_ms
        self._events = {
            "CREATE": self._create,
            "READ": self._read,
            "UPDATE": self._update,
            "DELETE": self._delete,
            "PAUSE": self._pause,
            "UNPAUSE": self._unpause,
        }

    async def result(self, kind: str, params: Params, *, namespace: str) -> dict[str, Any]:
        """Give the action's result, {"error": ...} for what is refused."""
        try:
            return await self.handle(kind, params, namespace=namespace)
        except AlarmError as error:
            return error.result

    async def handle(self, kind: str, params: Params, *, namespace: str) -> dict[str, Any]:
        """Do one lifecycle call for a caller of this namespace; raises AlarmError.

        `kind` is the feed action's name. The trigger's namespace is always the caller's.
        """
        if kind not in get_args(Kind):
            raise AlarmError(f"there is no alarm feed {kind!r}", status=404)
        event = self._events.get(str(params.get("lifecycleEvent")))
        if event is None:
            raise AlarmError(texts.UNSUPPORTED_EVENT)
        identity = _identity(params, namespace)
        await self._check_owner(identity, deleting=event == self._delete)
        return await event(_Call(cast("Kind", kind), params, identity))

    async def _check_owner(self, identity: Registration, *, deleting: bool) -> None:
        status = await self._authorize(identity)
        if status >= 400 and not (deleting and status == 404):
            raise AlarmError(texts.AUTH_FAILED, status=status)

    async def _create(self, call: _Call) -> dict[str, Any]:
        now = self._now_ms()
        made = schedule.create(call.kind, call.params, now_ms=now, five_fields_only=self._five_fields_only)
        await self._save({**made, **call.identity, "status": active(now)})
        return dict(SUCCESS)

    async def _read(self, call: _Call) -> dict[str, Any]:
        return describe(await self._find(call.identity))

    async def _update(self, call: _Call) -> dict[str, Any]:
        old = await self._find(call.identity)
        if (old["status"].get("reason") or {}).get("kind") == "ADMIN":
            raise AlarmError(texts.disabled_by_admin(str(call.params.get("triggerName"))))
        now = self._now_ms()
        changes = schedule.update(old, call.params, now_ms=now, five_fields_only=self._five_fields_only)
        await self._save({**old, **changes, "status": active(now)})
        return dict(SUCCESS)

    async def _delete(self, call: _Call) -> dict[str, Any]:
        key = key_of(call.identity)
        if await self._store.delete(key):
            await self._changed(key)
        return dict(SUCCESS)

    async def _pause(self, call: _Call) -> dict[str, Any]:
        old = await self._find(call.identity)
        if old["status"]["active"]:
            await self._save({**old, "status": inactive(self._now_ms(), texts.PAUSED, kind="USER")})
        return dict(SUCCESS)

    async def _unpause(self, call: _Call) -> dict[str, Any]:
        old = await self._find(call.identity)
        if (old["status"].get("reason") or {}).get("kind") == "ADMIN":
            raise AlarmError(texts.disabled_by_admin(str(call.params.get("triggerName"))))
        if not old["status"]["active"]:
            await self._save({**old, "status": active(self._now_ms())})
        return dict(SUCCESS)

    async def _find(self, identity: Registration) -> Registration:
        found = await self._store.get(key_of(identity))
        if found is None:
            raise AlarmError(texts.not_found(identity["namespace"], identity["name"]), status=404)
        return found

    async def _save(self, registration: Registration) -> None:
        key = key_of(registration)
        await self._store.put(key, registration)
        await self._changed(key)


def key_of(registration: Registration) -> str:
    """Name the store key of a registration."""
    return f"{registration['namespace']}/{registration['name']}"


def active(now_ms: int) -> dict[str, Any]:
    """Make the status of an alarm that fires."""
    return {"active": True, "dateChanged": now_ms}


def inactive(
    now_ms: int, message: str, *, status_code: int | None = None, kind: str = "AUTO"
) -> dict[str, Any]:
    """Make the status of an alarm that was switched off, with the reason."""
    reason: dict[str, Any] = {"kind": kind, "message": message}
    if status_code is not None:
        reason["statusCode"] = status_code
    return {"active": False, "dateChanged": now_ms, "reason": reason}


def describe(registration: Registration) -> dict[str, Any]:
    """Make the READ answer; the owner's key is not in it."""
    status = registration["status"]
    config = {name: registration[name] for name in ("name", "namespace", "payload")}
    config["strict"] = registration.get("strict", False)
    if registration.get("date"):
        names: tuple[str, ...] = ("date", "deleteAfterFire")
    elif registration.get("minutes"):
        names = ("startDate", "stopDate", "minutes")
    else:
        names = ("startDate", "stopDate", "cron", "timezone")
    config |= {name: registration[name] for name in names if registration.get(name) is not None}
    shown = {
        "active": status["active"],
        "dateChanged": status["dateChanged"],
        "dateChangedISO": dates.iso(status["dateChanged"]),
    }
    if "reason" in status:
        shown["reason"] = status["reason"]
    return {"config": config, "status": shown}


def _identity(params: Params, namespace: str) -> Registration:
    trigger = params.get("triggerName")
    if not isinstance(trigger, str) or not trigger:
        raise AlarmError(texts.NO_TRIGGER)
    name = trigger.split("/", 2)[2] if trigger.startswith("/") and trigger.count("/") >= 2 else trigger
    identity: Registration = {"namespace": namespace, "name": name}
    if params.get("authKey"):
        identity["apikey"] = params["authKey"]
    return identity
