"""The dashboard as a web action: the page at its root, the data under `/data`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hort import action, clock, config, store, web
from hort.dashboard import collect, page
from hort.dashboard.search import searcher
from hort.dashboard.state import State
from hort.dashboard.view import View
from hort.errors import ConfigError


def answer(args: dict[str, Any], *, folder: Path) -> web.Result:
    """GET and HEAD only; a parameter that cannot be used is a 400 that names it."""
    if str(args.get("__ow_method") or "get").lower() not in ("get", "head"):
        return web.problem(405, "the dashboard is read with GET")
    match str(args.get("__ow_path") or "").strip("/"):
        case "":
            html, headers = page.assemble(folder)
            return {"statusCode": 200, "headers": headers, "body": html}
        case "data":
            return _data(action.strip(args))
    return web.problem(404, "there is nothing here; the page is at the root, its data under /data")


def _data(params: dict[str, Any]) -> web.Result:
    try:
        view = View.of(params)
        state = State.of(
            store.connect(params),
            partitions=config.integer(params, "partitions", default=1, minimum=1, maximum=64),
        )
        found = collect(view, search=searcher(params), state=state, now=clock.now_ms())
    except ConfigError as error:
        return web.problem(400, str(error))
    return web.answer(200, found)
