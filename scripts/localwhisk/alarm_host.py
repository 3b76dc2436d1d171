"""The alarm feeds inside the engine: their actions, their schedules in its store, their fires in-process."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from localwhisk import fires, jsonio, kinds
from localwhisk.alarms.feed import Feed
from localwhisk.alarms.schedule import Registration
from localwhisk.alarms.service import AlarmService
from localwhisk.engine import Builtins, Engine
from localwhisk.entities import Action, Exec, Package, Rule, Trigger
from localwhisk.errors import ApiError
from localwhisk.http import new_transaction_id
from localwhisk.identity import SYSTEM, Identity
from localwhisk.invoker import NativeAction
from localwhisk.payloads import Payload
from localwhisk.store import Statement, Store

PACKAGE = "alarms"
FEEDS = {
    "alarm": "Fire trigger when alarm occurs",
    "once": "Fire trigger once when alarm occurs",
    "interval": "Fire trigger at specified interval",
}
_COLLECTION = "alarms"
_ACCEPTED, _NO_CONTENT, _OK, _UNAUTHORIZED, _NOT_FOUND = 202, 204, 200, 401, 404
_SELECT = "SELECT body FROM documents WHERE collection = ? AND key = ?"
_SELECT_ALL = "SELECT key, body FROM documents WHERE collection = ?"
_UPSERT = "INSERT OR REPLACE INTO documents (collection, key, body) VALUES (?, ?, ?)"
_DELETE = "DELETE FROM documents WHERE collection = ? AND key = ?"


@dataclass(frozen=True, slots=True)
class AlarmStore:
    """Registrations in the engine's database; implements localwhisk.alarms.store.Store."""

    store: Store

    async def get(self, key: str) -> Registration | None:
        """Read one."""
        row = self.store.row(_SELECT, (_COLLECTION, key))
        return None if row is None else jsonio.loads(row[0])

    async def put(self, key: str, registration: Registration) -> None:
        """Write or replace one."""
        body = jsonio.dumps(registration)
        await self.store.write(Statement(_UPSERT, (_COLLECTION, key, body)), synced=True)

    async def delete(self, key: str) -> bool:
        """Remove one; false when there was none."""
        found = self.store.row(_SELECT, (_COLLECTION, key)) is not None
        await self.store.write(Statement(_DELETE, (_COLLECTION, key)), synced=True)
        return found

    async def list(self) -> list[tuple[str, Registration]]:
        """Read all."""
        return [(key, jsonio.loads(body)) for key, body in self.store.rows(_SELECT_ALL, (_COLLECTION,))]


class AlarmHost:
    """Feed actions and scheduler of one engine; `start` after the engine, `close` before it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        store = AlarmStore(engine.store)
        self._service = AlarmService(store, self._fire, delete_trigger=self._delete_trigger)
        self._feed = Feed(store, changed=self._service.refresh, authorize=self._authorize)
        engine.install(_builtins({name: self._native(name) for name in FEEDS}))

    async def start(self) -> None:
        """Take up the schedules in the store."""
        await self._service.start()

    async def close(self) -> None:
        """Stop firing."""
        await self._service.close()

    def _native(self, kind: str) -> NativeAction:
        async def run(identity: Identity, arguments: Any) -> dict[str, Any]:
            return await self._feed.result(kind, arguments, namespace=identity.namespace)

        return run

    async def _authorize(self, registration: Registration) -> int:
        """Status of a GET of the trigger with the key the feed was given."""
        identity = self._engine.identities.of_auth(registration.get("apikey", ""))
        if identity is None or identity.namespace != registration["namespace"]:
            return _UNAUTHORIZED
        return _OK if self._trigger(registration) is not None else _NOT_FOUND

    async def _fire(self, registration: Registration) -> int:
        """Fire as the owner would over HTTP; the status of the answer. A schedule outlives the key its owner had when it was made."""
        identities, namespace = self._engine.identities, registration["namespace"]
        identity = identities.of_auth(registration.get("apikey", "")) or identities.of_namespace(namespace)
        if identity is None or identity.namespace != registration["namespace"]:
            return _UNAUTHORIZED
        try:
            self._engine.throttle.check_fire(identity.namespace)
        except ApiError as error:
            return error.status
        trigger = self._trigger(registration)
        if trigger is None:
            return _NOT_FOUND
        fire = fires.Fire(
            identity=identity,
            trigger=trigger,
            payload=Payload.of(registration["payload"]),
            transaction_id=new_transaction_id(),
            headers=_headers(self._engine, identity),
        )
        return _NO_CONTENT if await fires.fire(self._engine, fire) is None else _ACCEPTED

    async def _delete_trigger(self, registration: Registration, *, rules: bool) -> None:
        trigger = self._trigger(registration)
        if trigger is None:
            return
        found = [self._engine.catalog.get(name) for name in trigger.rules or ()] if rules else []
        await self._engine.catalog.remove(trigger, *(rule for rule in found if isinstance(rule, Rule)))

    def _trigger(self, registration: Registration) -> Trigger | None:
        found = self._engine.catalog.get(f"{registration['namespace']}/{registration['name']}")
        return found if isinstance(found, Trigger) else None


def _headers(engine: Engine, identity: Identity) -> dict[str, str]:
    """Headers a fire over HTTP would have had."""
    basic = base64.b64encode(identity.auth.encode()).decode()
    host = engine.invoker.api_host.partition("://")[2]
    return {"accept": "application/json", "authorization": f"Basic {basic}", "host": host}


def _builtins(native: dict[str, NativeAction]) -> Builtins:
    path = f"{SYSTEM}/{PACKAGE}"
    package = Package(
        path=SYSTEM,
        name=PACKAGE,
        version="0.0.1",
        updated=0,
        publish=True,
        annotations=({"key": "description", "value": "Alarms and periodic utility"},),
    )
    actions = tuple(_action(path, name, text) for name, text in FEEDS.items())
    return Builtins(
        packages=(package,),
        actions=actions,
        native={f"{path}/{name}": handler for name, handler in native.items()},
    )


def _action(path: str, name: str, description: str) -> Action:
    annotations: dict[str, Any] = {
        "feed": True,
        "description": description,
        "provide-api-key": False,
        "exec": kinds.NATIVE,
    }
    return Action(
        path=path,
        name=name,
        version="0.0.1",
        updated=0,
        annotations=tuple({"key": key, "value": value} for key, value in annotations.items()),
        exec=Exec(kind=kinds.NATIVE),
        limits={"timeout": 60_000, "memory": 128, "logs": 10, "concurrency": 1},
        revision="builtin",
    )
