"""Which zip is made of what: its source folder and the third-party packages it carries.

The python:3.11 image brings requests (and no numpy, redis, elasticsearch, paho); what it brings is not vendored. Names are those of
requirements/actions.txt, where the versions and hashes are; a package that another one needs is listed with it.
"""

from dataclasses import dataclass

ELASTICSEARCH = ("elasticsearch", "elastic-transport", "certifi", "python-dateutil", "typing-extensions", "urllib3")
STORE = ("redis", "async-timeout", "orjson", "msgpack")
CALLS = (*STORE, "httptools")


@dataclass(frozen=True)
class Recipe:
    """One zip: the folder whose files lie at its root, other folders it carries as packages, and what is vendored."""

    source: str
    vendored: tuple[str, ...]
    packages: tuple[str, ...] = ("actions/hort",)


RECIPES = {
    "ingest": Recipe("actions/ingest", STORE),
    "window": Recipe("actions/window", (*STORE, "numpy")),
    "close": Recipe("actions/close", (*STORE, "numpy")),
    "score": Recipe("actions/score", CALLS),
    "sink": Recipe("actions/sink", (*STORE, *ELASTICSEARCH)),
    "models": Recipe("actions/models", STORE),
    "poll-models": Recipe("actions/poll-models", CALLS),
    "divvy": Recipe("actions/divvy", (*CALLS, "paho-mqtt")),
    "echo-model": Recipe("actions/echo-model", ("orjson",)),
    "anomaly-model": Recipe("actions/anomaly-model", ("orjson",)),
    "dashboard": Recipe("actions/dashboard", (*STORE, *ELASTICSEARCH)),
    "report": Recipe("actions/report", (*STORE, *ELASTICSEARCH)),
    "plates-page": Recipe("actions/plates-page", STORE),
    "forget-plates": Recipe("actions/forget-plates", (*STORE, *ELASTICSEARCH)),
    "mqtt-feed": Recipe("feeds/mqtt", ()),
    "alarms-feed": Recipe("feeds/alarms", ("orjson",)),
}
