"""Action `close`: closes the windows that are due, see `hort.close`."""

from __future__ import annotations

from functools import partial
from typing import Any

from hort import action, counters, join, store
from hort.close import Closer, settings
from hort.pane_store import RedisPaneStore
from hort.presence import RedisPresence


def main(args: dict[str, Any]) -> dict[str, Any]:
    params = action.strip(args)
    with action.failures_told("close", params):
        return _close(params)


def _close(params: dict[str, Any]) -> dict[str, Any]:
    client = store.connect(params)
    closer = Closer(
        panes=RedisPaneStore(client),
        presence=RedisPresence(client),
        counters=counters.RedisCounters(client),
        remember=partial(join.remember, client),
        now=partial(store.now_ms, client),
    )
    return closer.run(settings(params))
