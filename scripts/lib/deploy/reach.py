"""Do the servers answer that a deployment names: asked of what was deployed, since they need not be within this machine's reach."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hort.errors import without_login
from lib.deploy import mqtt_feed
from lib.deploy.manifest import Place
from lib.deploy.namespace import Namespace

CONNECTED_TIMEOUT_S = 5.0
LOOK_EVERY_S = 0.25
DASHBOARD = "hort/dashboard"
_DATA = {"__ow_method": "get", "__ow_path": "/data", "__ow_query": "", "__ow_headers": {}}
_OK = 200


def silent(namespace: Namespace, places: Iterable[Place], *, timeout_s: float = CONNECTED_TIMEOUT_S) -> Iterator[str]:
    """Yield a sentence for each server that does not answer what was deployed."""
    for place in places:
        if mqtt_feed.is_ours(place):
            yield from _broker(namespace, place, timeout_s)
        elif place.kind == "action" and place.action == DASHBOARD:
            yield from _stores(namespace.invoke(DASHBOARD, _DATA))


def _broker(namespace: Namespace, place: Place, timeout_s: float) -> Iterator[str]:
    deadline = time.monotonic() + timeout_s
    while True:
        feed = mqtt_feed.asked(namespace, place)
        if feed.get("subscribed") or not (feed.get("status") or {}).get("active"):
            return
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_EVERY_S)
    url = without_login(str((feed.get("config") or {}).get("url", "")))
    reason = ((feed["status"].get("reason") or {}).get("message")) or feed.get("connection")
    if feed.get("connected"):
        yield f"the broker at {url} does not give {place} its topics ({reason}); the feed keeps trying"
    else:
        yield f"nobody answers at {url} yet ({reason}); the feed of {place} keeps trying"


def _stores(answer: Mapping[str, Any]) -> Iterator[str]:
    body = answer.get("body")
    found = json.loads(body) if isinstance(body, str) else body if isinstance(body, dict) else {}
    if answer.get("statusCode") != _OK:
        yield f"the actions cannot work yet: {found.get('error') or answer.get('error')}"
    for reason in dict.fromkeys((found.get("errors") or {}).values()):
        yield f"{reason}, as the deployed actions see it: nothing is stored until it does"
