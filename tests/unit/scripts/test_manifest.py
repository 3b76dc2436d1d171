"""The manifest, the README and the code name the same settings."""

import re

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
