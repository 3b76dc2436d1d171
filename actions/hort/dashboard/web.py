"""The dashboard as a web action: the page at its root, the data under `/data`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hort import clock, config, quota, store, web
from hort.dashboard import collect, page
from hort.dashboard.search import searcher
from hort.dashboard.state import State
from hort.dashboard.view import View
from hort.errors import ConfigError
from hort.page import waiting

FRESH_S = 3
"""How long a browser or a proxy may keep an answer: shorter than any rhythm of the page."""


def answer(args: dict[str, Any], *, folder: Path) -> web.Result:
    """GET and HEAD only; a query that cannot be used is a 400 that names its part. Strangers have a share of each minute."""
    return web.served(args, lambda request, settings: _answer(request, settings, folder), away=store.AWAY)


def _answer(request: web.Request, settings: web.Settings, folder: Path) -> web.Result:
    if request.method not in ("GET", "HEAD"):
        return web.problem(405, "the dashboard is read with GET")
    if request.path not in ((), ("data",)):
        return web.problem(404, "there is nothing here; the page is at the root, its data under /data")
    wait_s = quota.reader_waits_s(request, settings, "dashboard")
    if request.path:
        return quota.too_many(wait_s) if wait_s else _data(request, settings)
    if wait_s:
        return waiting(wait_s)
    html, headers = page.assemble(folder)
    return {"statusCode": 200, "headers": headers, "body": html}


def _data(request: web.Request, settings: web.Settings) -> web.Result:
    try:
        view = View.of(request.query)
    except ConfigError as error:
        return web.problem(400, str(error))
    state = State.of(store.looked_at(settings), partitions=config.integer(settings, "partitions", default=1, minimum=1, maximum=1024))
    found = collect(view, search=searcher(settings), state=state, now=clock.now_ms())
    return web.answer(200, found, {"cache-control": f"public, max-age={FRESH_S}"})
