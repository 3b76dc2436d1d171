"""The manifest, the README and the code name the same settings."""

import itertools
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


def test_the_stream_leaves_room_for_the_clockwork_in_the_standalone_servers_pool() -> None:
    package = yaml.safe_load(MANIFEST)["packages"]["hort"]
    memory = {name: action["limits"]["memorySize"] for name, action in package["actions"].items()}
    stream = sum(memory[name.strip()] for name in package["sequences"]["stream"]["actions"].split(","))
    assert stream + memory["close"] == 1024, "what a standalone server has"
    assert "wants 768 MB for each batch" in README
    assert stream + memory["close"] + memory["poll-models"] + memory["divvy"] + memory["dashboard"] <= 1536
    assert "With 1.5 GB everything stays warm" in README
    assert {name: size for name, size in memory.items() if size > 128} == {"window": 256, "score": 256, "close": 256, "plates": 512}


def test_no_two_alarms_fire_within_two_seconds() -> None:
    triggers = yaml.safe_load(MANIFEST)["packages"]["hort"]["triggers"]
    minutely = [trigger["inputs"]["cron"].split()[0] for trigger in triggers.values() if trigger.get("inputs", {}).get("cron", "").endswith(" * * * * *")]
    assert len(minutely) == 3
    seconds = sorted(second for text in minutely for second in (range(0, 60, int(text[2:])) if text[0] == "*" else map(int, text.split(","))))
    assert len(seconds) == len(set(seconds)) == 12
    assert all(later - earlier >= 2 for earlier, later in itertools.pairwise(seconds))
