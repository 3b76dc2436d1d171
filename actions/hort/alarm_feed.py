"""The core of the feed actions `alarms/{alarm,once,interval}` for an OpenWhisk that has none: asks the provider, which keeps time.

Parameters, texts and results are those of openwhisk-package-alarms; the semantics live in one place, `localwhisk.alarms`. As there,
the actions of a shared package know no secret, for whoever may use the package may read its parameters: they ask the web action
`alarms-web/feed` of the package's owner, which is not shared, knows the provider's secret, and passes the caller's key on.
An action that has `provider_url` bound to it asks the provider itself.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests

from hort import config, feed, urls, web
from hort.errors import FeedRefused, HortError

KINDS = ("alarm", "once", "interval")
WEB_ACTION = "alarms-web/feed"
MAX_BODY_BYTES = 1_048_576
_OURS = frozenset({"api_insecure", "authKey", "provider_secret", "provider_url"})


def handle(args: Mapping[str, Any], *, call: feed.Call = requests.request) -> dict[str, Any]:
    """The feed action's answer; what goes wrong is {"error": ...}, which makes the client's command fail."""
    try:
        body = {
            "kind": kind(args),
            "namespace": os.environ.get("__OW_NAMESPACE", ""),
            "api_host": os.environ.get("__OW_API_HOST", ""),
            "params": {name: value for name, value in args.items() if name not in _OURS and not name.startswith("__ow_")},
        }
        if config.lookup(args, "provider_url") is None:
            return _asked(args, body, feed.key(args), call)
        return feed.ask(call, "POST", args, body, feed.key(args), path="alarms")
    except HortError as error:
        return {"error": str(error)}


def kind(args: Mapping[str, Any]) -> str:
    """Which of the three feeds this is: parameter `alarm_kind`, or the action's own name."""
    name = config.text(args, "alarm_kind", default="") or os.environ.get("__OW_ACTION_NAME", "").rpartition("/")[2]
    if name not in KINDS:
        raise FeedRefused(f"an alarm feed is named {', '.join(KINDS)}, got {name!r}")
    return name


def _asked(args: Mapping[str, Any], body: Mapping[str, Any], auth_key: str, call: feed.Call) -> dict[str, Any]:
    """What the owner's web action answers, asked as the caller."""
    user, _, password = auth_key.partition(":")
    try:
        answer = call(
            "POST",
            _web_action(),
            json=body,
            headers={"Accept": "application/json"},
            auth=(user, password),
            timeout=feed.TIMEOUT_S,
            verify=not config.boolean(args, "api_insecure", default=False),
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise FeedRefused(f"the API host does not answer: {type(error).__name__}") from error
    return feed.result(answer, f"the web action {WEB_ACTION}")


def _web_action() -> str:
    """Its address: beside this action, which the public package's owner owns."""
    host, action = os.environ.get("__OW_API_HOST", ""), os.environ.get("__OW_ACTION_NAME", "")
    if not host or action.count("/") < 2:
        raise FeedRefused("OpenWhisk tells this action neither its name nor its API host")
    base = host if "://" in host else f"https://{host}"
    return f"{base.rstrip('/')}/api/v1/web/{quote(action.split('/')[1])}/{WEB_ACTION}"


def handle_web(args: Mapping[str, Any], *, call: feed.Call = requests.request) -> web.Result:
    """The web action: passes what a feed action asks, and the caller's key, to the provider, whose address it does not tell."""
    return web.guarded(lambda: _handled_web(args, call), away={})


def _handled_web(args: Mapping[str, Any], call: feed.Call) -> web.Result:
    try:
        given = web.json_object(web.raw_body(args.get("__ow_body")), limit=MAX_BODY_BYTES)
        namespace, auth_key = args.get("__ow_user"), _basic(args)
        if not isinstance(namespace, str) or not namespace or not auth_key:
            return web.problem(401, "the key of the trigger's namespace must be given as Basic authorization")
        body = {name: given.get(name) for name in ("kind", "params")}
        body |= {"namespace": namespace, "api_host": os.environ.get("__OW_API_HOST", "")}
        return web.answer(200, feed.ask(call, "POST", args, body, auth_key, path="alarms"))
    except (HortError, web.BadBody) as error:
        return web.problem(400, urls.without_addresses(str(error)))


def _basic(args: Mapping[str, Any]) -> str:
    """`uuid:key` of the request's Authorization header, "" where there is none."""
    headers = args.get("__ow_headers")
    given = headers.get("authorization") if isinstance(headers, dict) else None
    scheme, _, encoded = given.partition(" ") if isinstance(given, str) else ("", "", "")
    try:
        key = base64.b64decode(encoded, validate=True).decode("ascii") if scheme.lower() == "basic" else ""
    except ValueError:
        key = ""
    return key if ":" in key and key.isprintable() else ""
