"""Web action `models`: the registry over HTTP. GET, PUT, PATCH, DELETE; deployed raw, so that bodies arrive as they were sent."""

from __future__ import annotations

from typing import Any

from hort import config, quota, registry, store, urls, web
from hort.breaker import RedisBreakers
from hort.model_store import RedisModelStore


def main(args: dict[str, Any]) -> dict[str, Any]:
    return web.served(args, _answer, away=store.AWAY)


def _answer(request: web.Request, settings: web.Settings) -> web.Result:
    key = config.header_text(settings, "registry_key")
    if wait_s := quota.reader_waits_s(request, settings, "models", key=key):
        return quota.too_many(wait_s)
    client = store.waited_for(settings, method=request.method)
    models = registry.Registry(store=RedisModelStore(client), breakers=RedisBreakers(client), policy=urls.policy(settings), key=key)
    return registry.handle(models, request)
