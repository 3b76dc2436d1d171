"""Which tests run and in what order: the longest first, and together those that share what starts slowly.

With workers (pytest-xdist) a group goes to one of them: the tests that share a running suite, Elasticsearch or plates server, a `slow` test by itself, or a file.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.fuzz import LONG
from tests.support.paths import ROOT

USUAL_S = {"acceptance": 8.0, "integration": 2.0, "functional": 0.2, "unit": 0.05}
"""What a test of a kind takes, where it is not marked `slow`."""
DEAR = {"machine": "suite", "plates": "plates", "elasticsearch_url": "elasticsearch"}
"""Fixtures that take many processor seconds to start in each worker, and the name of their group: the tests that use one stay together, the `slow` ones, too."""
COVERED = ("unit", "functional")
"""Kinds whose lines are counted in a short run, but for what is `slow`: counting doubles the time that Python takes."""
PER_PROCESSOR, EACH_BYTES = 3, 2_500_000_000
"""How many workers: tests mostly wait, and each worker may have servers, an engine and a browser of its own."""
PLAN = "plan"
LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_xdist_auto_num_workers() -> int:
    """Return what processors and free memory allow (`-n auto`)."""
    return workers(processors=len(os.sched_getaffinity(0)), free_bytes=free_bytes(Path("/proc/meminfo").read_text(encoding="ascii")))


def workers(*, processors: int, free_bytes: int) -> int:
    """Return how many fit, at least one."""
    return max(1, min(processors * PER_PROCESSOR, free_bytes // EACH_BYTES))


def free_bytes(meminfo: str) -> int:
    """Return what proc(5)'s meminfo says is available to new processes."""
    return int(next(line.split()[1] for line in meminfo.splitlines() if line.startswith("MemAvailable:"))) * 1024


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long unless it is asked for; a worker then sorts by groups, as every other does, and tells them."""
    long = [item for item in items if item.get_closest_marker("long") and not os.environ.get(LONG)]
    config.stash[LEFT_OUT] = [item.nodeid for item in long]
    if long:
        config.hook.pytest_deselected(items=long)
        left_out = set(long)
        items[:] = [item for item in items if item not in left_out]
    given = getattr(config, "workerinput", {})
    if PLAN in given:
        groups = _sort(items, workers=given["workercount"])
        draft = Path(given[PLAN]).with_suffix(f".{given['workerid']}")
        draft.write_text(json.dumps(groups), encoding="utf-8")
        draft.replace(given[PLAN])


def _sort(items: list[pytest.Item], *, workers: int) -> dict[str, str]:
    groups = {item.nodeid: _group(item) for item in items}
    takes: defaultdict[str, float] = defaultdict(float)
    for item in items:
        takes[groups[item.nodeid]] += seconds(item)
        if not os.environ.get(LONG) and (item.get_closest_marker("slow") or kind(item.nodeid) not in COVERED):
            item.add_marker("no_cover")
    place = {group: number for number, group in enumerate(order(takes, workers=workers))}
    items.sort(key=lambda item: place[groups[item.nodeid]])
    return groups


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Hands each worker one group after another, in the order of the collection.

    Not pytest-xdist's own loadgroup: it renames tests, which pytest 9.2 does not let it do, and `--last-failed` would not know them.
    """

    def __init__(self, config: pytest.Config, log: Any, plan: Path) -> None:
        super().__init__(config, log)
        self._plan = plan
        self._groups: dict[str, str] = {}

    def _split_scope(self, nodeid: str) -> str:
        if not self._groups:
            self._groups.update(json.loads(self._plan.read_text(encoding="utf-8")))
        return self._groups[nodeid]


class Controller:
    """What the process above the workers does."""

    def __init__(self, folder: Path) -> None:
        self._plan = folder / "groups.json"

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where to put its groups."""
        node.workerinput[PLAN] = str(self._plan)

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> ByGroup:
        """Replace whatever --dist says."""
        config.option.loadscopereorder = False
        return ByGroup(config, log, self._plan)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: Any) -> None:
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller(config._tmp_path_factory.getbasetemp()), "controller-of-groups")


def order(takes: Mapping[str, float], *, workers: int) -> list[str]:
    """Return groups by their seconds, the longest first; but of the second ones, which workers are given with their first, the shortest for the longest."""
    found = sorted(takes, key=lambda group: (-takes[group], group))
    found[workers : 2 * workers] = reversed(found[workers : 2 * workers])
    return found


def _group(item: pytest.Item) -> str:
    told = item.get_closest_marker("group")
    if told is not None:
        return str(told.args[0])
    dear = next((name for fixture, name in DEAR.items() if fixture in getattr(item, "fixturenames", ())), None)
    if dear is not None:
        return dear
    return item.nodeid if item.get_closest_marker("slow") else str(item.path.relative_to(ROOT))


def seconds(item: pytest.Item) -> float:
    """What a test takes beside others: its mark `slow(seconds)`, else what is usual for its kind."""
    slow = item.get_closest_marker("slow")
    return float(slow.args[0]) if slow else USUAL_S.get(kind(item.nodeid), 1.0)


def kind(nodeid: str) -> str:
    """The folder under tests/ that a test is in."""
    parts = nodeid.split("/")
    return parts[1] if len(parts) > 2 else ""
