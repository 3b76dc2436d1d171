"""The core of the feed actions `alarms/{alarm,once,interval}` for an OpenWhisk that has none: asks the provider, which keeps time.

Parameters, texts and results are those of openwhisk-package-alarms; the semantics live in one place, `localwhisk.alarms`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import requests

from hort import config, feed
from hort.errors import FeedRefused, HortError

KINDS = ("alarm", "once", "interval")
_OURS = frozenset({"provider_url", "provider_secret", "authKey"})


def handle(args: Mapping[str, Any], *, call: feed.Call = requests.request) -> dict[str, Any]:
    """The feed action's answer; what goes wrong is {"error": ...}, which makes the client's command fail."""
    try:
        body = {
            "kind": kind(args),
            "namespace": os.environ.get("__OW_NAMESPACE", ""),
            "api_host": os.environ.get("__OW_API_HOST", ""),
            "params": {name: value for name, value in args.items() if name not in _OURS and not name.startswith("__ow_")},
        }
        return feed.ask(call, "POST", args, body, feed.key(args), path="alarms")
    except HortError as error:
        return {"error": str(error)}


def kind(args: Mapping[str, Any]) -> str:
    """Which of the three feeds this is: parameter `alarm_kind`, or the action's own name."""
    name = config.text(args, "alarm_kind", default="") or os.environ.get("__OW_ACTION_NAME", "").rpartition("/")[2]
    if name not in KINDS:
        raise FeedRefused(f"an alarm feed is named {', '.join(KINDS)}, got {name!r}")
    return name
