"""Are the settings complete and usable: asked of the same code that feed, provider and actions read them with."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from feeds.provider import connection
from feeds.provider import settings as provider
from hort import (
    close,
    config,
    elastic,
    feed,
    feed_options,
    indices,
    ingest_options,
    plate_documents,
    plates_page,
    quota,
    redaction,
    score,
    store,
    urls,
    window,
)
from hort import divvy as source
from hort.errors import AddressRefused, ConfigError, shown
from hort.publisher import Broker
from lib.deploy import mqtt_feed
from lib.deploy.settled import Settled

PACKAGE = "hort"
REQUIRED = {
    ("package", PACKAGE): ("redis_url", "elasticsearch_url"),
    ("action", "mqtt"): ("provider_url", "provider_secret"),
}
"""What has no default that could be right on another machine than this."""

NEARLY = 0.93
"""Of difflib's ratio: a letter too many or too few, no other name of ours."""
IMAGES = "HORT_IMAGE_REGISTRY"
_IMAGES = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._:-]*/)*")
_COUNTRY = re.compile(r"[a-z0-9_-]{1,16}")

Check = Callable[[dict[str, Any]], object]


def _source(params: dict[str, Any]) -> None:
    source.Settings.of(params)
    Broker.of(params)
    _address(params, "gbfs_url")


def _registry(params: dict[str, Any]) -> None:
    _address(params, "registry_url")
    config.header_text(params, "registry_url_key")


def _registry_key(params: dict[str, Any]) -> None:
    config.header_text(params, "registry_key")


def _countries(params: dict[str, Any]) -> None:
    """Only their form: what there is lies in the image."""
    names = config.strings(params, "country", default=["us"])
    if not names or not all(_COUNTRY.fullmatch(name) for name in names):
        raise ConfigError("country", params["country"], "must name countries such as us, several with commas")


def _address(params: dict[str, Any], name: str) -> None:
    try:
        if name in params:
            urls.parse(params[name])
    except AddressRefused as error:
        raise ConfigError(name, None, f"is no address: {error.reason}") from error


def _insecure(params: dict[str, Any]) -> None:
    config.boolean(params, "api_insecure", default=False)


def _feed_action(params: dict[str, Any]) -> None:
    feed.provider(params)
    provider.secret(params, "provider_secret")


def _feed(params: dict[str, Any]) -> None:
    chosen = feed_options.parse(feed_options.known(params))
    if chosen.tls_key == feed_options.HIDDEN:  # the provider has it, and this machine never sees it
        chosen = replace(chosen, tls_cert="", tls_key="")
    if feed_options.address(chosen.url).tls:
        try:
            connection.tls_context(chosen)
        except OSError as error:
            raise ConfigError("tls_ca", None, f"with 'tls_cert' and 'tls_key' cannot be used: {type(error).__name__}") from error


CHECKS: Mapping[str, tuple[Check, ...]] = {
    PACKAGE: (store.connect, elastic.connect, indices.prefix, urls.policy, quota.reads_per_minute),
    "ingest": (ingest_options.from_params,),
    "window": (window.settings,),
    "score": (score.budget_s,),
    "sink": (plate_documents.keeping,),
    "close": (close.settings,),
    "poll-models": (_registry,),
    "divvy": (_source,),
    "models": (_registry_key,),
    "plates": (redaction.of, _countries),
    "report": (redaction.of, _insecure, _registry_key),
    "plates-page": (plates_page.photos_per_minute, _insecure, _registry_key),
    "mqtt": (_feed_action,),
}


def misspelt(exported: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return what is exported under a name that is nearly a setting's."""
    known = list(names)
    found = {name: difflib.get_close_matches(name, known, n=1, cutoff=NEARLY) for name in exported if name.startswith("HORT_") and name not in known}
    return [f"{name} is no setting, did you mean {near[0]}?" for name, near in found.items() if near]


def problems(found: Iterable[Settled], variables: Mapping[str, str]) -> list[str]:
    """Return what is missing or cannot be used, one line a variable; `variables` are those that no input holds."""
    told: dict[str, str] = {}
    if not _IMAGES.fullmatch(images := variables.get(IMAGES, "")):
        told[IMAGES] = f"must be where images are pulled from, with a slash at its end, such as registry.example/, got {shown(images)}"
    for settled in found:
        for name, text in _of(settled):
            told.setdefault(settled.source(name), text)
    return [f"{source} {text}" for source, text in told.items()]


def _of(settled: Settled) -> Iterator[tuple[str, str]]:
    place, params = settled.place, settled.params
    if place.package != PACKAGE and not mqtt_feed.is_ours(place):
        return
    missing = [name for name in REQUIRED.get((place.kind, place.name), ()) if name not in params]
    yield from ((name, "must be given") for name in missing)
    checks = (_feed,) if mqtt_feed.is_ours(place) else () if place.kind == "trigger" else CHECKS.get(place.name, ())
    for check in () if missing else checks:
        try:
            check(params)
        except ConfigError as error:
            got = "" if error.value is None else f", got {shown(error.value)}"
            yield error.name.partition(".")[0], f"{error.reason}{got}"
