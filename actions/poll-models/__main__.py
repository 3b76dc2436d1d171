"""Action `poll-models`: every 30 s, whether or not data flows, the registry becomes the list that `score` uses."""

from __future__ import annotations

from typing import Any

from hort import action, config, poll, store, urls
from hort.counters import RedisCounters
from hort.model_store import RedisModelStore


def main(args: dict[str, Any]) -> dict[str, Any]:
    params = action.strip(args)
    client = store.connect(params)
    timeout_s = config.number(params, "registry_timeout_s", default=10, minimum=0.1, maximum=40)
    key = config.header_text(params, "registry_url_key")
    result = poll.poll(
        RedisModelStore(client),
        RedisCounters(client),
        url=config.text(params, "registry_url", default=""),
        fetch=poll.http_fetch(urls.policy(params), timeout_s=timeout_s, key=key),
        key=key,
    )
    if result["last_error"]:
        action.log("models.poll", error=result["last_error"], models=len(result["models"]))
    return result
