"""Polling the registry: own or someone else's list of models becomes the list that the scorer uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from hort import clock, models, outgoing, seal, strict_json, urls, web
from hort.counters import Counters
from hort.errors import AddressRefused, CallFailed, ModelError
from hort.model_store import ModelStore
from hort.models import Model
from hort.registry import active_list, active_of

MAX_LIST_BYTES = models.MAX_MODELS * models.MAX_MODEL_BYTES
MAX_ERROR = 500

Fetch = Callable[[str], bytes]


class PollFailed(Exception):
    """The registry gave no list that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a registry answered: the models that can be used, and why others cannot."""

    models: list[Model]
    refused: list[str]


def http_fetch(policy: urls.Policy, *, timeout_s: float, key: str = "") -> Fetch:
    """Reads a registry over HTTP; PollFailed unless it answers 200. A registry of HoRT seals whole addresses for its `key`."""
    headers = {"Accept": "application/json", **({web.KEY_HEADER: key} if key else {})}

    def fetch(url: str) -> bytes:
        try:
            answer = outgoing.get(
                url,
                policy=policy,
                headers=headers,
                timeout_s=timeout_s,
                max_bytes=MAX_LIST_BYTES,
            )
        except (CallFailed, AddressRefused) as error:
            raise PollFailed(str(error)) from error
        if answer.status != 200:
            raise PollFailed(f"the registry answered status {answer.status}")
        return answer.body

    return fetch


def poll(
    store: ModelStore, counters: Counters, *, url: str, fetch: Fetch, key: str = "", now: Callable[[], int] = clock.now_ms
) -> dict[str, Any]:
    """One poll: writes the active list and says what it holds; a poll that fails keeps the last good list and says so.

    Of polls that overlap and succeed the one that began last counts: another one's list may be older, whenever it comes to writing it.
    """
    number = store.begin_poll()
    try:
        found = listing(fetch(url), key=key) if url else own(store)
    except PollFailed as error:
        counters.add({"models.poll-failed": 1})
        return _keep(store, str(error)[:MAX_ERROR], now())
    counters.add({"models.polled": 1, "models.refused": len(found.refused)})
    refused = "; ".join(found.refused)[:MAX_ERROR] or None
    value = {
        "models": [model.as_json() for model in found.models],
        "polled_at": now(),
        "tried_at": now(),
        "last_error": refused,
    }
    return _told(value if store.set_active(orjson.dumps(value), poll=number) else active_list(store))


def own(store: ModelStore) -> Listing:
    """The models of the registry in our own store."""
    values = []
    refused = []
    for name, value in sorted(store.all().items()):
        try:
            values.append(orjson.loads(value))
        except ValueError:
            refused.append(f"{name}: is not JSON")
    found = _checked(values, limit=models.MAX_MODELS)
    return Listing(found.models, refused + found.refused)


def listing(body: bytes, *, key: str = "") -> Listing:
    """The models in a registry's answer: our own form (`models`), or the original's (`endpoints`, called by `query`).

    `key` opens the addresses that a registry of HoRT has sealed for it.
    """
    try:
        value = strict_json.loads(body)
    except strict_json.Refused as error:
        raise PollFailed(f"the registry's answer cannot be used: {error}") from error
    if not isinstance(value, dict):
        raise PollFailed("the registry's answer is not an object with 'models' or 'endpoints'")
    if isinstance(value.get("models"), list):
        found = value["models"]
        found[: models.MAX_MODELS] = [_opened(item, key) for item in found[: models.MAX_MODELS]]
        return _checked(found, limit=models.MAX_MODELS)
    if isinstance(value.get("endpoints"), list):
        return _checked(_original(value["endpoints"]), limit=models.MAX_MODELS)
    raise PollFailed("the registry's answer holds neither a list 'models' nor a list 'endpoints'")


def _opened(value: Any, key: str) -> Any:
    """A model with its whole address, where that is sealed under the key."""
    sealed = value.get(models.SEALED) if isinstance(value, dict) else None
    address = seal.opened(sealed, key) if isinstance(sealed, str) and key else None
    return value if address is None else {**value, "url": address}


def _original(endpoints: list[Any]) -> list[Any]:
    return [
        {"name": name, "url": url, "protocol": "query"}
        for item in endpoints
        for name, url in (item.items() if isinstance(item, dict) else [(None, item)])
    ]


def _checked(values: list[Any], *, limit: int) -> Listing:
    found: dict[str, Model] = {}
    refused = [f"{len(values) - limit} models over the limit of {limit}"] if len(values) > limit else []
    for value in values[:limit]:
        if not isinstance(value, dict):
            refused.append(f"a model must be an object, got {type(value).__name__}")
            continue
        try:
            model = models.stored(value)
            found[model.name] = model
        except ModelError as error:
            refused.append(f"{str(value.get('name'))[:64]}: {error}")
    return Listing(list(found.values()), refused)


def _keep(store: ModelStore, reason: str, now: int) -> dict[str, Any]:
    found = store.active()
    last = active_of(found)
    value = {
        "models": last.get("models", []),
        "polled_at": last.get("polled_at"),
        "tried_at": now,
        "last_error": reason,
    }
    return _told(value if store.keep_active(orjson.dumps(value), expected=found) else active_list(store))


def _told(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "models": [model["name"] for model in value.get("models", ())],
        "polled_at": value.get("polled_at"),
        "last_error": value.get("last_error"),
    }
