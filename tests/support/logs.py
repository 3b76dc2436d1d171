"""What services, engines and providers wrote while a test ran: printed where it fails, and kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

KEPT = ROOT / ".hort" / "test-logs"
LINES, CHARACTERS, FILES, KEPT_BYTES = 25, 4_000, 12, 20_000_000
BEGAN = pytest.StashKey[float]()


def pytest_configure(config: pytest.Config) -> None:
    """Forget those of the run before."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(KEPT, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs written since the test began to the report of a failure."""
    report = yield
    began = item.stash.setdefault(BEGAN, call.start)
    folder = getattr(item, "funcargs", {}).get("temporary_folder")
    if report.failed and folder is not None:
        report.sections += sections(folder, began, KEPT / re.sub(r"[^A-Za-z0-9_.-]+", "-", item.nodeid)[-150:])
    return report


def sections(folder: Path, since: float, kept: Path) -> list[tuple[str, str]]:
    """Title and end of each log under a folder that was written since then (epoch seconds); whole ones are copied to `kept`."""
    written = sorted((log for log in folder.rglob("*.log") if _modified(log) >= since), key=_modified, reverse=True)
    found: list[tuple[str, str]] = []
    for log in written[:FILES]:
        name = log.relative_to(folder)
        try:
            kept.mkdir(parents=True, exist_ok=True)
            if log.stat().st_size <= KEPT_BYTES:
                shutil.copyfile(log, kept / str(name).replace("/", "-"))
            found.append((f"log {name}", tail(log)))
        except OSError as error:  # it went with its service
            found.append((f"log {name}", str(error)))
    if len(written) > FILES:
        found.append(("more logs", "\n".join(str(log) for log in written[FILES:])))
    return [*found, ("whole logs", str(kept))] if found else []


def tail(log: Path) -> str:
    """The last lines."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - CHARACTERS))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-LINES:])


def _modified(log: Path) -> float:
    try:
        return log.stat().st_mtime
    except OSError:
        return 0.0
