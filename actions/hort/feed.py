"""The core of the feed action `hort/mqtt`: checks the life-cycle event and asks the provider."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import requests

from hort import config, feed_options, urls
from hort.errors import AddressRefused, ConfigError, FeedRefused, HortError, without_login

SECRET_HEADER = "X-HoRT-Secret"  # noqa: S105 - a header's name
TIMEOUT_S = (5.0, 20.0)
EVENTS = {
    "CREATE": ("POST", ""),
    "READ": ("GET", ""),
    "UPDATE": ("PUT", ""),
    "DELETE": ("DELETE", ""),
    "PAUSE": ("PUT", "pause"),
    "UNPAUSE": ("PUT", "unpause"),
}
"""Life-cycle event -> HTTP method and what to change besides the parameters."""
NO_FEED = "has no feed here"
"""How the provider's refusal ends where it knows nothing of a trigger."""


Call = Callable[..., requests.Response]
"""Asks the provider: `requests.request`, or a twin in tests."""


def handle(args: Mapping[str, Any], *, call: Call = requests.request) -> dict[str, Any]:
    """The feed action's answer; what goes wrong is {"error": text}, which makes the client's command fail."""
    try:
        return _handle(args, call)
    except HortError as error:
        return {"error": str(error)}


def trigger_name(args: Mapping[str, Any]) -> str:
    """The trigger's fully qualified name; the namespace `_` is that of this action's caller."""
    name = config.text({"triggerName": args.get("triggerName")}, "triggerName")
    parts = name.split("/")
    if len(parts) == 1:
        parts = ["", "_", name]
    if len(parts) == 2:
        parts = ["", *parts]
    if len(parts) != 3 or parts[0] or not parts[1] or not parts[2] or not name.isprintable():
        raise FeedRefused(f"parameter 'triggerName' must be /namespace/name, got {name!r}")
    namespace = os.environ.get("__OW_NAMESPACE", "_") if parts[1] == "_" else parts[1]
    return f"/{namespace}/{parts[2]}"


def _handle(args: Mapping[str, Any], call: Call) -> dict[str, Any]:
    event = str(args.get("lifecycleEvent") or "").upper()
    if event not in EVENTS:
        raise FeedRefused(f"parameter 'lifecycleEvent' must be one of {', '.join(EVENTS)}, got {args.get('lifecycleEvent')!r}")
    method, change = EVENTS[event]
    body: dict[str, Any] = {"trigger": trigger_name(args), "api_host": os.environ.get("__OW_API_HOST", "")}
    if event in ("CREATE", "UPDATE"):
        body["params"] = _params(args, event)
        body["keep"] = list(feed_options.kept(args)) if event == "CREATE" else []
    if change:
        body["active"] = change == "unpause"
    return ask(call, method, args, body, key(args))


def key(args: Mapping[str, Any]) -> str:
    """The key of the trigger's owner."""
    value = args.get("authKey") or os.environ.get("__OW_API_KEY")
    if not isinstance(value, str) or ":" not in value or not value.isascii() or not value.isprintable():
        raise FeedRefused("parameter 'authKey' must be given as uuid:key")
    return value


def _params(args: Mapping[str, Any], event: str) -> dict[str, Any]:
    params = feed_options.known({name: value for name, value in args.items() if not name.startswith("__ow_")})
    if event == "CREATE":
        feed_options.parse({**dict.fromkeys(feed_options.kept(args), feed_options.HIDDEN), **params})
    return params


def ask(
    call: Call, method: str, args: Mapping[str, Any], body: dict[str, Any], auth_key: str, *, path: str = "registrations"
) -> dict[str, Any]:
    """The provider's answer; FeedRefused with its text where it refuses."""
    address = provider(args)
    who = f"the feed's provider at {urls.masked(address)}"
    headers = {SECRET_HEADER: config.text(args, "provider_secret")}
    user, _, password = auth_key.partition(":")
    try:
        answer = call(
            method,
            f"{address}/{path}",
            **({"params": body} if method in ("GET", "DELETE") else {"json": body}),
            headers=headers,
            auth=(user, password),
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise FeedRefused(f"{who} does not answer: {type(error).__name__}") from error
    return result(answer, who)


def provider(args: Mapping[str, Any]) -> str:
    """The provider's address; ConfigError where it is none, or its secret is missing."""
    address, _ = config.text(args, "provider_url"), config.text(args, "provider_secret")
    try:
        urls.parse(address)
    except AddressRefused as error:
        raise ConfigError("provider_url", without_login(address), f"must be an http or https address: {error.reason}") from None
    if "?" in address or "#" in address:
        raise ConfigError("provider_url", urls.masked(address), "must be an http or https address without a query")
    return address.rstrip("/")


def result(answer: requests.Response, who: str) -> dict[str, Any]:
    """The JSON object that `who` answered; FeedRefused with its error's text where it refuses."""
    try:
        value = answer.json()
    except (ValueError, RecursionError) as error:
        raise FeedRefused(f"{who} answered {answer.status_code} without JSON") from error
    if answer.status_code >= 300 or not isinstance(value, dict):
        text = value.get("error") if isinstance(value, dict) else None
        raise FeedRefused(text or f"{who} answered {answer.status_code}")
    return value
