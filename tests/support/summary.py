"""Where the time of a run went, printed at its end."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.support.schedule import LEFT_OUT, kind

PHASES = ("setup", "call", "teardown")
SLOWEST = 10
WORTH_IT_S = 10.0


class Summary:
    """Adds up the durations of reports; with workers, those of all of them."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._began = time.monotonic()
        self._seconds: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._tests: Counter[str] = Counter()
        self._each: defaultdict[str, float] = defaultdict(float)
        self._left_out: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note."""
        folder = kind(report.nodeid)
        self._seconds[folder][report.when] += report.duration
        self._each[report.nodeid] += report.duration
        self._tests[folder] += report.when == "call"

    def pytest_testnodedown(self, node: Any) -> None:
        """Hear from a worker what it left out; each has collected the same."""
        self._left_out = getattr(node, "workeroutput", {}).get("left_out", self._left_out)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """Print the tables, after a run of more than some tests."""
        took, lanes = time.monotonic() - self._began, max(1, self._workers)
        if took < WORTH_IT_S:
            return
        write = terminalreporter.write_line
        terminalreporter.section(f"where the time went: {took:.0f} s, {lanes} at a time")
        write(f"{'folder':<14}{'tests':>7}" + "".join(f"{phase + ', s':>13}" for phase in PHASES))
        for folder, phases in sorted(self._seconds.items()):
            write(f"{folder:<14}{self._tests[folder]:>7}" + "".join(f"{phases[phase]:>13.0f}" for phase in PHASES))
        busy = sum(sum(phases.values()) for phases in self._seconds.values())
        write(f"busy {busy:.0f} of {took * lanes:.0f} s; the rest is start, collection and waiting for the last one")
        write(f"the {SLOWEST} slowest:")
        for nodeid, seconds in sorted(self._each.items(), key=lambda one: -one[1])[:SLOWEST]:
            write(f"{seconds:>8.1f} s  {nodeid}")
        for nodeid in self._left_out or config.stash.get(LEFT_OUT, []):
            write(f"left out, ./scripts/test --long has it: {nodeid}")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Summary(config.getoption("numprocesses", None) or 0), "summary-of-the-run")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, [])
    if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.getoption("last_failed_no_failures", None) == "none":
        assert session.config.cache is not None
        if not session.config.cache.get("cache/lastfailed", {}):
            session.exitstatus = pytest.ExitCode.OK  # ./scripts/test --failed, and nothing had
