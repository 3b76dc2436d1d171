"""The feeds' subscriptions: what is published before the broker has them reaches nobody."""

from __future__ import annotations

import json
import time

import requests

from demonstrate.processes import StartFailed

TOLD = ("triggerName", "status", "connected", "subscribed", "connection")
TIMEOUT_S = 120.0
LOOK_EVERY_S = 0.2
ANSWER_TIMEOUT_S = 30.0


def await_subscriptions(provider_url: str, secret: str, *, timeout_s: float = TIMEOUT_S) -> None:
    """Waits until the broker has granted every feed its topics; StartFailed where it has not within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    told = "no answer of the provider"
    while time.monotonic() < deadline:
        try:
            answer = requests.get(f"{provider_url}/registrations", headers={"X-HoRT-Secret": secret}, timeout=ANSWER_TIMEOUT_S)
            rows = answer.json().get("registrations", [])
        except (requests.RequestException, ValueError) as error:
            told = f"{type(error).__name__} of the provider"
        else:
            if rows and all(row.get("subscribed") for row in rows):
                return
            told = f"status {answer.status_code} {json.dumps([{name: row.get(name) for name in TOLD} for row in rows])[:1500]}"
        time.sleep(LOOK_EVERY_S)
    raise StartFailed(f"the feed is not subscribed after {timeout_s:g} s: {told}")
