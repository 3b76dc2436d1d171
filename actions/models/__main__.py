"""Web action `models`: the registry over HTTP. GET, PUT, PATCH, DELETE; deployed raw, so that bodies arrive as they were sent."""

from __future__ import annotations

from typing import Any

from hort import action, config, registry, store, urls, web
from hort.breaker import RedisBreakers
from hort.model_store import RedisModelStore


def main(args: dict[str, Any]) -> dict[str, Any]:
    request = web.request(args)
    params = action.strip(args)
    client = store.connect(params)
    models = registry.Registry(
        store=RedisModelStore(client),
        breakers=RedisBreakers(client),
        policy=urls.policy(params),
        key=config.text(params, "registry_key", default=""),
    )
    return registry.handle(models, request)
