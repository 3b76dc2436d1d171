"""The MQTT feed of a trigger: its provider holds the registration, which says what is set on the trigger."""

from __future__ import annotations

from typing import Any

from hort import feed_options
from hort.feed import NO_FEED
from lib.deploy.manifest import Place
from lib.deploy.namespace import Namespace
from lib.deploy.target import TargetError

FEED = ["hort", "mqtt"]
MASK = feed_options.HIDDEN


def is_ours(place: Place) -> bool:
    """Tell whether a place is a trigger of the MQTT feed."""
    return place.kind == "trigger" and place.feed.split("/")[-2:] == FEED


def read(namespace: Namespace, place: Place, *, moves: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what is registered beyond the defaults, and the names of secrets that are.

    TargetError where the feed does not answer, which would leave a trigger without it; not where it `moves` to another provider.
    """
    if namespace.of(place) is None:
        return {}, ()
    answer = asked(namespace, place)
    problem = str(answer.get("error") or "")
    if problem and not problem.endswith(NO_FEED) and not moves:
        raise TargetError(f"the feed of {place} does not answer ({problem})")
    found = answer.get("config")
    shown = _beyond_defaults(found if isinstance(found, dict) else {})
    if str(shown.get("client_id", "")).startswith(f"hort-{answer.get('id')}-"):
        del shown["client_id"]  # drawn by the provider, which knows when to draw another
    secrets = tuple(name for name in feed_options.SECRETS if shown.pop(name, ""))
    return shown, secrets


def asked(namespace: Namespace, place: Place) -> dict[str, Any]:
    """Return what the feed's provider answers of a trigger; it has an `error` where it knows none or is away."""
    ask = {"lifecycleEvent": "READ", "triggerName": f"/{namespace.name}/{place.name}", "authKey": namespace.key}
    return namespace.invoke("/".join(FEED), ask)


def _beyond_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """What is set; what only follows from `delivery` is not."""
    if not config.get("url"):
        return {}
    decisive = {name: config[name] for name in ("url", "delivery") if config.get(name)}
    defaults = {**feed_options.parse(decisive).as_params(), "url": "", "delivery": feed_options.BY_NAME["delivery"].default}
    return {name: value for name, value in config.items() if name in defaults and value not in (None, "", defaults[name])}
