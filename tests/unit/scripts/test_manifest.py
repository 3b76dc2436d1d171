"""The manifest, the README and the code name the same settings."""

import re

import yaml

from hort import close, config, feed_options
from tests.support.paths import ROOT

SETTING = re.compile(r"HORT_[A-Z_]+")
MANIFEST = (ROOT / "manifest.yaml").read_text()
README = (ROOT / "README.md").read_text()
COMPOSE = set(SETTING.findall((ROOT / "docker/compose.yaml").read_text()))
OF_SCRIPTS = {"HORT_TOOLS", "HORT_AUTH", "HORT_ALARMS_PACKAGE"}


def test_every_setting_of_the_manifest_is_in_the_readme() -> None:
    assert set(SETTING.findall(MANIFEST)) <= set(SETTING.findall(README))


def test_the_readme_names_no_setting_that_nothing_reads() -> None:
    assert set(SETTING.findall(README)) <= set(SETTING.findall(MANIFEST)) | OF_SCRIPTS | COMPOSE


def test_everybody_gets_the_same_partitions() -> None:
    assert MANIFEST.count("partitions: $HORT_PARTITIONS") == 3, "of the feed, of the windows (an anchor that close shares), and of the dashboard"
    assert close.settings({"partitions": "4"}).partitions == feed_options.parse({"url": "mqtt://b", "partitions": "4"}).partitions


def test_what_is_not_exported_means_the_default() -> None:
    assert close.settings({"partitions": "", "window_s": ""}) == close.settings({})
    assert config.lookup({"partitions": ""}, "partitions") is None


def test_one_batch_and_the_clockwork_fit_into_what_the_page_says() -> None:
    package = yaml.safe_load(MANIFEST)["packages"]["hort"]
    memory = {name: action["limits"]["memorySize"] for name, action in package["actions"].items()}
    stream = sum(memory[name.strip()] for name in package["sequences"]["stream"]["actions"].split(","))
    assert stream == 1024, "the standalone server's pool"
    assert stream + memory["close"] + memory["poll-models"] + memory["divvy"] == 1536
    assert "With 1.5 GB everything stays warm" in README
    assert {name for name, size in memory.items() if size > 128} == {"ingest", "window", "score", "sink", "close", "plates"}
