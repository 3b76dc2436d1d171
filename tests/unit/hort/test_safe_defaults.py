"""An unset variable in a manifest is an empty value: it never switches off what protects something, and an odd one is refused by name."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from hort import (
    close,
    divvy,
    feed_options,
    ingest_options,
    plate_documents,
    publisher,
    quota,
    redaction,
    score,
    urls,
    web,
    window,
)
from hort.errors import ConfigError
from tests.support.paths import ROOT

MANIFEST = (ROOT / "manifest.yaml").read_text()
EMPTY = dict.fromkeys(re.findall(r"^\s+([a-z_]+): \$HORT_", MANIFEST, re.MULTILINE), "")
"""Every input of the manifest that comes from a variable."""
SETTINGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ingest": ingest_options.from_params,
    "window": window.settings,
    "close": close.settings,
    "score": score.budget_s,
    "addresses": urls.policy,
    "redaction": redaction.of,
    "plates": plate_documents.keeping,
    "divvy": divvy.Settings.of,
    "broker": publisher.Broker.of,
    "feed": lambda params: feed_options.parse({**feed_options.known(params), "url": "mqtt://broker"}),
}


def test_the_manifest_s_variables_are_found() -> None:
    assert {"redis_url", "allow_private", "registry_key", "redact", "api_insecure", "photos_per_minute", "max_fires_per_minute"} <= EMPTY.keys()


@pytest.mark.parametrize("what", SETTINGS)
def test_empty_values_mean_the_defaults(what: str) -> None:
    read = SETTINGS[what]
    assert read(dict(EMPTY)) == read({})


def test_the_defaults_are_safe() -> None:
    assert urls.policy(dict(EMPTY)) == urls.PUBLIC
    assert not SETTINGS["feed"](dict(EMPTY)).tls_insecure
    assert not web.has_key(web.Request("PUT", (), b"", key=""), key="")


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (SETTINGS["redaction"], "redact"),
        (SETTINGS["feed"], "tls_insecure"),
        (SETTINGS["window"], "allowed_lateness_s"),
        (SETTINGS["plates"], "retention_days"),
        (lambda params: quota.reader_waits_s(web.Request("GET", (), b""), params, "models"), "reads_per_minute"),
    ],
)
@pytest.mark.parametrize("value", ["ture", "yes!", " ", [1], {"a": 1}, "-1", "1e999"])
def test_an_odd_value_is_refused_by_its_name(read: Callable[[dict[str, Any]], Any], name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"'{name}'"):
        read({name: value})


def test_no_annotation_of_the_manifest_that_protects_comes_from_a_variable() -> None:
    for name in ("require-whisk-auth", "final", "web-export", "raw-http", "provide-api-key"):
        assert f"{name}: $" not in MANIFEST
