"""Where the parts are: options, then the environment, then what runs over the state folder (a stack, a demo, an engine)."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demonstrate.options import ROOT
from hort import config, elastic, indices, store
from hort.elastic import ElasticStore
from lib import local
from localwhisk.identity import read_auth

_NAMES = {
    f"elasticsearch_{name}": f"HORT_ELASTICSEARCH_{name.upper()}" for name in ("url", "api_key", "username", "password", "ca")
} | {"redis_url": "HORT_REDIS_URL", "index_prefix": "HORT_INDEX_PREFIX", "topic_pattern": "HORT_TOPIC_PATTERN"}


class NotConnected(Exception):
    """A part cannot be used; the message says which and what to set."""


@dataclass(frozen=True, slots=True)
class Connections:
    """`params` are what actions would be given; `api_key` is the namespace's key and never shows."""

    params: Mapping[str, Any]
    api_host: str
    api_key: str
    insecure: bool

    def __repr__(self) -> str:
        return f"Connections({self.api_host})"

    @property
    def prefix(self) -> str:
        """What goes before each index name."""
        return indices.prefix(self.params)

    def redis(self) -> store.Client:
        """The Redis of the actions."""
        return store.connect(dict(self.params))

    def elasticsearch(self) -> ElasticStore:
        """The Elasticsearch of the sink."""
        return elastic.connect(self.params)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that say where things are."""
    group = parser.add_argument_group(
        "connection",
        "From HORT_REDIS_URL, HORT_ELASTICSEARCH_URL, HORT_API_HOST, HORT_AUTH, HORT_INDEX_PREFIX, else from what runs over the state folder.",
    )
    group.add_argument("--state", type=Path, default=Path(os.environ.get("HORT_STATE") or ROOT / ".hort"), metavar="DIR")
    group.add_argument("--apihost", default=os.environ.get("HORT_API_HOST", ""), metavar="URL", help="address of the OpenWhisk API")
    group.add_argument("--insecure", action="store_true", help="do not check the API host's certificate")
    group.add_argument("--json", action="store_true", help="JSON instead of text")


def resolve(options: argparse.Namespace, *, environment: Mapping[str, str] = os.environ) -> Connections:
    """The connections; NotConnected where a foreign API host has no key."""
    here = local.look(options.state)
    host = options.apihost or here.api_host
    host = (host if "://" in host else f"https://{host}").rstrip("/")
    found = {name: environment.get(variable) or here.settings.get(variable) for name, variable in _NAMES.items()}
    return Connections({name: value for name, value in found.items() if value}, host, _key(host, environment, here), options.insecure)


def topic_pattern(connections: Connections, default: str) -> str:
    """Where a device type stands in a topic."""
    return config.text(connections.params, "topic_pattern", default=default)


def _key(host: str, environment: Mapping[str, str], here: local.Local) -> str:
    try:
        key = read_auth(environment.get("HORT_AUTH", "")) or here.key_of(host)
    except ValueError as error:
        raise NotConnected(f"HORT_AUTH: {error}") from None
    if not key:
        raise NotConnected(f"{urlsplit(host).hostname} needs a key: set HORT_AUTH")
    if ":" not in key:
        raise NotConnected("HORT_AUTH must have the form uuid:secret")
    return key
