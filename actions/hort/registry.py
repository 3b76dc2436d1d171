"""The model registry: reading, adding, changing and removing models, and the HTTP answers for it.

Anybody may read. What is secret in a model's address is masked in every answer (see `hort.urls.masked`), for OpenWhisk keeps
answers in activation records. Who asks with the registry's key gets the address besides, sealed under that key (`sealed_url`, see `hort.seal`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from hort import clock, models, seal, urls, web
from hort.breaker import Breakers
from hort.errors import AddressRefused, HortError, ModelError, ModelUnknown, RegistryBusy, RegistryFull
from hort.model_store import ModelStore
from hort.models import Model

ATTEMPTS = 5
"""How often a change is tried anew when somebody else changed the model meanwhile."""
METHODS = "GET, HEAD, PUT, PATCH, DELETE"

_STATUS: tuple[tuple[type[HortError], int], ...] = (
    (ModelUnknown, 404),
    (ModelError, 422),
    (RegistryFull, 409),
    (RegistryBusy, 409),
)


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry over its ports; `key` is the secret that allows writes besides the owner's."""

    store: ModelStore
    breakers: Breakers
    policy: urls.Policy = urls.PUBLIC
    key: str = ""
    now: Callable[[], int] = clock.now_ms
    resolver: urls.Resolver = urls.system_resolver

    def all(self) -> list[Model]:
        """Every registered model by name."""
        found = [model for value in self.store.all().values() if (model := _readable(value)) is not None]
        return sorted(found, key=_name)

    def get(self, name: str) -> Model:
        """One model; ModelUnknown where there is none."""
        value = self.store.get(models.checked_name(name))
        model = None if value is None else _readable(value)
        if model is None:
            raise ModelUnknown(name)
        return model

    def put(self, name: str, values: Mapping[str, Any]) -> tuple[Model, bool]:
        """Adds or replaces a model; true where it is new."""
        models.parse(name, values)
        return self._change(name, lambda _: models.parse(name, values), versioned="version" in values)

    def patch(self, name: str, values: Mapping[str, Any]) -> Model:
        """Changes the given fields of a model (JSON merge patch, RFC 7396)."""

        def change(old: Model | None) -> Model:
            if old is None:
                raise ModelUnknown(name)
            return models.parse(name, {**old.as_json(), **_merged(old, values)})

        return self._change(models.checked_name(name), change, versioned="version" in values)[0]

    def delete(self, name: str) -> None:
        """Removes a model; ModelUnknown where there is none."""
        if not self.store.delete(models.checked_name(name)):
            raise ModelUnknown(name)

    def _change(
        self, name: str, change: Callable[[Model | None], Model], *, versioned: bool
    ) -> tuple[Model, bool]:
        for _ in range(ATTEMPTS):
            before = self.store.get(name)
            old = None if before is None else _readable(before)
            new = self._stamped(change(old), old, versioned=versioned)
            self._check_address(new, old)
            outcome = self.store.replace(name, expected=before, value=_packed(new), limit=models.MAX_MODELS)
            if outcome == "full":
                raise RegistryFull(models.MAX_MODELS)
            if outcome == "ok":
                if old is not None and old.url != new.url:
                    self.breakers.succeeded(name)
                return new, old is None
        raise RegistryBusy(name)

    def _stamped(self, model: Model, old: Model | None, *, versioned: bool) -> Model:
        now = clock.iso(self.now())
        if old is None:
            return replace(model, revision=1, created_at=now, updated_at=now)
        version = model.version if versioned else _next_version(old.version)
        return replace(
            model, version=version, revision=old.revision + 1, created_at=old.created_at, updated_at=now
        )

    def _check_address(self, new: Model, old: Model | None) -> None:
        if old is not None and old.url == new.url:
            return
        try:
            urls.resolve(new.url, self.policy, resolver=self.resolver)
        except AddressRefused as error:
            raise ModelError("url", urls.shown(new.url), f"is not allowed: {error.reason}") from error

    def described(self, found: Sequence[Model]) -> list[dict[str, Any]]:
        """Models with what is known of their calls."""
        names = [model.name for model in found]
        polled = {
            item.get("name"): item.get("revision") for item in active_list(self.store).get("models", [])
        }
        breakers = self.breakers.states(names, now=self.now())
        stats = self.store.stats(names)
        return [
            {
                **model.as_json(),
                "state": {
                    "polled": polled.get(model.name) == model.revision,
                    "breaker": breakers[model.name],
                    **_numbers(stats[model.name]),
                },
            }
            for model in found
        ]


def handle(registry: Registry, request: web.Request) -> web.Result:
    """The answer to one request to the web action."""
    path = request.path[1:] if request.path[:1] == ("models",) else request.path
    try:
        if len(path) > 1:
            return web.problem(404, "the path must be /<name of a model>")
        if request.method in {"GET", "HEAD"}:
            trusted, sealed = web.may_write(request, key=registry.key), web.has_key(request, key=registry.key)
            return _read(registry, path, trusted=trusted, sealed=sealed)
        if request.method not in {"PUT", "PATCH", "DELETE"}:
            headers = {"allow": METHODS}
            return web.answer(405, {"error": f"{request.method} is not supported, {METHODS} are"}, headers)
        if not web.may_write(request, key=registry.key):
            return web.problem(
                401,
                "changing models needs the namespace owner's Basic auth or the registry key in X-HoRT-Key",
            )
        if not path:
            return web.problem(400, "the path must name the model: /<name>")
        return _write(registry, request, path[0])
    except web.BadBody as error:
        too_large = len(request.body) > models.MAX_MODEL_BYTES
        return web.problem(413 if too_large else 400, str(error))
    except HortError as error:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        facts = {"field": error.field, "reason": error.reason} if isinstance(error, ModelError) else {}
        return web.problem(status, str(error), **facts)


def _read(registry: Registry, path: tuple[str, ...], *, trusted: bool, sealed: bool) -> web.Result:
    """One model or all, secrets masked. Who may not write sees no address in errors; who has the key gets whole ones sealed."""
    found = [registry.get(path[0])] if path else registry.all()
    shown = [_masked(model) for model in found]
    described = registry.described(shown)
    for document, model, masked in zip(described, found, shown, strict=True):
        if sealed and model.url != masked.url:
            document[models.SEALED] = seal.text(model.url, registry.key)
    active = active_list(registry.store)
    poll = {"polled_at": active.get("polled_at"), "last_error": active.get("last_error")}
    if not trusted:
        for facts in (poll, *(model["state"] for model in described)):
            facts["last_error"] = facts["last_error"] and urls.without_addresses(facts["last_error"])
    if path:
        return web.answer(200, described[0])
    endpoints = [{model.name: model.url} for model in shown if model.enabled]
    return web.answer(200, {"endpoints": endpoints, "models": described, "poll": poll})


def _write(registry: Registry, request: web.Request, name: str) -> web.Result:
    if request.method == "DELETE":
        registry.delete(name)
        return web.answer(200, {"deleted": name})
    values = web.json_object(request.body, limit=models.MAX_MODEL_BYTES)
    model, new = (registry.patch(name, values), False) if request.method == "PATCH" else registry.put(name, values)
    return web.answer(201 if new else 200, registry.described([_masked(model)])[0])


def _masked(model: Model) -> Model:
    return replace(model, url=urls.masked(model.url))


def active_list(store: ModelStore) -> dict[str, Any]:
    """What the last poll left: `models`, `polled_at` (ms), `last_error`; empty before the first poll."""
    return active_of(store.active())


def active_of(raw: bytes | None) -> dict[str, Any]:
    """See `active_list`; None: there was no poll yet."""
    if raw is None:
        return {}
    try:
        value = orjson.loads(raw)
    except ValueError:
        logging.getLogger(__name__).warning("the list of active models cannot be read: %d bytes", len(raw))
        return {}
    return value if isinstance(value, dict) and isinstance(value.get("models"), list) else {}


def _readable(value: bytes) -> Model | None:
    """A stored model; None where another version wrote what this one cannot read: it can be replaced or deleted."""
    try:
        return models.stored(orjson.loads(value))
    except (ValueError, AttributeError, ModelError) as error:
        logging.getLogger(__name__).warning("a stored model cannot be read: %s", error)
        return None


def _packed(model: Model) -> bytes:
    value = orjson.dumps(model.as_json())
    if len(value) > models.MAX_MODEL_BYTES:
        raise ModelError("name", model.name, f"describes a model of more than {models.MAX_MODEL_BYTES} bytes")
    return value


def _merged(old: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    if "url" in values and "protocol" not in values and old.protocol == models.default_protocol(old.url):
        merged["protocol"] = None  # what came from the old address goes by the new one
    if isinstance(values.get("breaker"), dict):
        merged["breaker"] = {**old.as_json()["breaker"], **values["breaker"]}
    return merged


def _next_version(version: str) -> str:
    return str(int(version) + 1) if version.isascii() and version.isdigit() else version


def _numbers(stats: Mapping[str, str]) -> dict[str, Any]:
    counts = {status: int(stats.get(status, "0")) for status in ("ok", "error", "timeout", "open")}
    calls = int(stats.get("calls", "0"))
    return {
        "results": counts,
        "latency_ms": round(int(stats.get("latency_ms", "0")) / calls, 1) if calls else None,
        "last_result_at": stats.get("last_at"),
        "last_error": stats.get("last_error"),
        "last_error_at": stats.get("last_error_at"),
    }


def _name(model: Model) -> str:
    return model.name
