"""Action `window`: adds a batch to the panes of the sliding windows, see `hort.window`."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

from hort import action, counters, store, watchdog
from hort.journal import RedisJournal
from hort.pane_store import RedisPaneStore
from hort.presence import RedisPresence
from hort.window import Windower, settings


@lru_cache(maxsize=8)
def windower(client: store.Client) -> Windower:
    """What stays warm between activations, one a Redis."""
    return Windower(
        journal=RedisJournal(client),
        panes=RedisPaneStore(client),
        presence=RedisPresence(client),
        counters=counters.RedisCounters(client),
        now=partial(store.now_ms, client),
    )


def main(args: dict[str, Any]) -> dict[str, Any]:
    params = action.strip(args)
    with watchdog.watched(), action.failures_told("window", params):
        return windower(store.connect(params)).run(action.required_reference(params), settings(params))
