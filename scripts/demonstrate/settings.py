"""The demo's settings: exported variables, else what suits a demo; all of them checked before the first part starts."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import requests

from demonstrate.keys import AUTH
from demonstrate.options import LIVE_URL, ROOT, Options
from lib.deploy import checks, environment, manifest
from lib.deploy.settled import Variables, settle
from lib.stack import ports

SERVICES = ("HORT_MQTT_URL", "HORT_REDIS_URL", "HORT_ELASTICSEARCH_URL")
SUITED = {
    "HORT_ALLOW_PRIVATE": "127.0.0.0/8",
    "HORT_MAX_FIRES_PER_MINUTE": "120",
    "HORT_GRACE_S": "5",  # of the feed's session after a DELETE: long enough for a redeployment
    # The example models share this machine's cores with everything else: on a busy one they are slow, not broken.
    # A batch that waits for them is not fired again meanwhile, which would only double the load.
    "HORT_SCORE_BUDGET_MS": "120000",
    "HORT_ACK_DEADLINE_S": "150",
}
_OURS = dict(zip(SERVICES, ("mqtt://127.0.0.1", "redis://127.0.0.1", "http://127.0.0.1:9200"), strict=True))
"""Forms of the addresses that our own services will get."""
FREE_BYTES = 500_000_000
LIVE_TIMEOUT_S = 10


def settled(exported: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, str]:
    """The variables for provider and deployment; the namespace's key is always the demo's own."""
    return {**SUITED, **keys, **{name: value for name, value in exported.items() if value}, AUTH: keys[AUTH]}


def problems(options: Options, settings: Mapping[str, str]) -> list[str]:
    """What would end the demo later, in words for people."""
    free = shutil.disk_usage(_existing(options.state)).free
    found = [f"only {free / 1e6:.0f} MB are free for {options.state}, {FREE_BYTES / 1e6:.0f} MB are needed"] if free < FREE_BYTES else []
    if options.port and not ports.is_free(options.port):
        found.append(f"--port {options.port} is in use by another program")
    return found + _of_variables(settings) + (_live() if options.live else [])


def _of_variables(settings: Mapping[str, str]) -> list[str]:
    text = (ROOT / "manifest.yaml").read_text(encoding="utf-8")
    names = environment.names_in(text)
    values = {**_OURS, "HORT_PROVIDER_URL": "http://127.0.0.1", **settings}
    try:
        variables = Variables(environment.resolve(names, environment=values))
    except ValueError as error:
        return [str(error)]
    return checks.misspelt(settings, names) + checks.problems((settle(place, None, variables) for place in manifest.places(text, values)), variables.values)


def _live() -> list[str]:
    try:
        requests.get(LIVE_URL, timeout=LIVE_TIMEOUT_S).raise_for_status()
    except requests.RequestException as error:
        return [f"--live: {LIVE_URL} does not answer ({type(error).__name__}); without the internet there are --city and --replay"]
    return []


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
