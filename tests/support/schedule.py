"""Which tests run and in what order: the longest first, and together those that share what starts slowly.

With workers (pytest-xdist, --dist loadgroup) a group goes to one worker: a file, the tests that share a running suite, or a `slow` test by itself.
"""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

from tests.support.paths import ROOT

USUAL_S = {"acceptance": 8.0, "integration": 2.0, "functional": 0.2, "unit": 0.05}
"""What a test of a kind takes, where it is not marked `slow`."""
SUITE = "machine"
"""The fixture (acceptance/conftest.py) whose tests stay together: a broker, Redis, Elasticsearch, an engine and a provider each time."""
LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the tests marked `long`: campaigns, soaks, the recorded hour")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long unless it is asked for, then set groups and order."""
    long = [item for item in items if item.get_closest_marker("long") and not config.option.long]
    config.stash[LEFT_OUT] = [item.nodeid for item in long]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]
    if getattr(config.option, "loadgroup", False):
        _longest_first(items, workers=int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _longest_first(items: list[pytest.Item], *, workers: int) -> None:
    """Sort by what each group takes. A worker is given its second group when its first begins: the one with the longest gets the shortest."""
    groups = {item: _group(item) for item in items}
    takes: defaultdict[str, float] = defaultdict(float)
    for item, group in groups.items():
        takes[group] += seconds(item)
        item.add_marker(pytest.mark.xdist_group(group))
    order = sorted(takes, key=lambda group: (-takes[group], group))
    order[workers : 2 * workers] = reversed(order[workers : 2 * workers])
    place = {group: number for number, group in enumerate(order)}
    items.sort(key=lambda item: place[groups[item]])


def _group(item: pytest.Item) -> str:
    if SUITE in getattr(item, "fixturenames", ()):
        return SUITE if not item.get_closest_marker("slow") else f"{SUITE}, {item.path.stem}"
    name = item.nodeid if item.get_closest_marker("slow") else str(item.path.relative_to(ROOT))
    return name.replace("@", "-")


def seconds(item: pytest.Item) -> float:
    """What a test takes beside others: its mark `slow(seconds)`, else what is usual for its kind."""
    slow = item.get_closest_marker("slow")
    return float(slow.args[0]) if slow else USUAL_S.get(kind(item.nodeid), 1.0)


def kind(nodeid: str) -> str:
    """The folder under tests/ that a test is in."""
    parts = nodeid.split("/")
    return parts[1] if len(parts) > 2 else ""
