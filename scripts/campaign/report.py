"""A campaign's report: aligned tables for people (rich on a terminal), and JSON with everything."""

from __future__ import annotations

import io
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from campaign.stream import QOS
from campaign.verdict import FAULTS, KINDS, LOST, Verdict
from localwhisk.lines import printable

SHOWN = 20
"""Findings of a kind that are printed; the JSON holds all of them."""
PACKAGES = ("numpy", "elasticsearch", "paho-mqtt", "redis")
ROOT = Path(__file__).resolve().parents[2]


def versions() -> dict[str, str]:
    """What ran here: Python, kernel, packages, our commit where there is one."""
    found = {"python": platform.python_version(), "kernel": platform.release()}
    found |= {name: version(name) for name in PACKAGES}
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return found | ({"hort": done.stdout.strip()} if done.returncode == 0 else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """One fault: seconds since the epoch, how long it lasted, seconds from its end until new records were stored again."""

    kind: str
    at_s: float
    lasted_s: float
    recovered_s: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything about one campaign.

    Args:
        seed: of plan and stream.
        seconds: how long the stream ran.
        injected: the faults.
        verdict: what the oracle found.
        problems: what else must not happen (a part that died by itself, a fault that could not be undone), a sentence each.
        facts: figures worth keeping (lag, memory, counters), shown as they are.
        versions: of what ran.
    """

    seed: int
    seconds: float
    injected: Sequence[Injected]
    verdict: Verdict
    problems: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=versions)

    @property
    def ok(self) -> bool:
        """Whether the campaign may end with 0."""
        return self.verdict.ok and not self.problems

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "ok": self.ok,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "versions": dict(self.versions),
            "faults": fault_rows(self.injected),
            "injected": [asdict(fault) for fault in self.injected],
            "problems": list(self.problems),
            "facts": dict(self.facts),
            "verdict": self.verdict.as_json(),
        }

    def write(self, path: Path) -> None:
        """Writes the JSON."""
        path.write_text(json.dumps(self.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def show(self, file: TextIO | None = None) -> None:
        """Prints the tables and the verdict."""
        out = file or sys.stdout
        for title, rows in self._tables():
            if rows:
                _print(title, rows, out)
        for kind in KINDS:
            findings = self.verdict.findings[kind]
            for finding in findings[:SHOWN]:
                print(printable(finding.line()), file=out)
            if len(findings) > SHOWN:
                print(f"{kind}: {len(findings) - SHOWN} more, see the JSON", file=out)
        for problem in self.problems:
            print(printable(f"problem: {problem}"), file=out)
        print(self.sentence(), file=out)

    def sentence(self) -> str:
        """The verdict in one line."""
        counts = ", ".join(f"{len(self.verdict.findings[kind])} {kind}" for kind in FAULTS)
        more = f", {len(self.problems)} problems" if self.problems else ""
        return f"{'PASSED' if self.ok else 'FAILED'}: seed {self.seed}, {len(self.injected)} faults, {counts}{more}"

    def _tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        return [
            ("faults", fault_rows(self.injected)),
            ("records", record_rows(self.verdict)),
            ("windows", [dict(self.verdict.windows)] if self.verdict.windows else []),
            ("results", result_rows(self.verdict)),
            ("alarms", [dict(self.verdict.alarms)] if self.verdict.alarms else []),
            ("findings", finding_rows(self.verdict)),
            ("facts", [{"fact": name, "value": value} for name, value in self.facts.items()]),
            ("versions", [{"what": name, "version": value} for name, value in self.versions.items()]),
        ]


def fault_rows(injected: Sequence[Injected]) -> list[dict[str, Any]]:
    """Count and recovery of each kind; `not recovered` counts faults after which nothing new was seen."""
    rows = []
    for kind in sorted({fault.kind for fault in injected}):
        mine = [fault for fault in injected if fault.kind == kind]
        times = [fault.recovered_s for fault in mine if fault.recovered_s is not None]
        rows.append(
            {
                "fault": kind,
                "count": len(mine),
                "lasted s": round(sum(fault.lasted_s for fault in mine), 1),
                "recovery p50 s": round(statistics.median(times), 1) if times else None,
                "recovery max s": round(max(times), 1) if times else None,
                "not recovered": len(mine) - len(times),
            }
        )
    return rows


def record_rows(verdict: Verdict) -> list[dict[str, Any]]:
    """Published and stored records of each group; stored counts documents."""
    return [
        {
            "group": group,
            "QoS": QOS[group],
            "published": verdict.published[group],
            "acked": verdict.acked[group],
            "stored": verdict.stored[group],
            "not seen": verdict.unseen[group],
            **{kind: sum(finding.group == group for finding in verdict.of(kind, "record")) for kind in KINDS},
        }
        for group in QOS
    ]


def result_rows(verdict: Verdict) -> list[dict[str, Any]]:
    """Results of each model by status."""
    statuses = sorted({status for counts in verdict.results.values() for status in counts})
    missing = {name: sum(f"model {name}" in finding.detail for finding in verdict.of(LOST, "result")) for name in verdict.results}
    return [
        {"model": name, **{status: counts[status] for status in statuses}, "missing": missing[name]}
        for name, counts in sorted(verdict.results.items())
    ]


def finding_rows(verdict: Verdict) -> list[dict[str, Any]]:
    """How many findings of each kind, by what they are about."""
    things = ("record", "window", "result", "alarm", "dead-letter")
    return [{"found": kind, **{what: len(verdict.of(kind, what)) for what in things}} for kind in KINDS]


def _print(title: str, rows: Sequence[Mapping[str, Any]], out: TextIO) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_text(row.get(name)) for name in names] for row in rows]
    if out.isatty():
        table = Table(title=title, title_justify="left")
        for number, name in enumerate(names):
            table.add_column(name, justify="right" if number else "left")
        for line in cells:
            table.add_row(*map(Text, line))
        Console(file=out).print(table)
        return
    out.write(plain_table(title, names, cells))


def plain_table(title: str, names: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first to the left and the others to the right, and an empty line after them."""
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    text = io.StringIO()
    text.write(f"{title}\n")
    for line in (names, ["-" * width for width in widths], *cells):
        first, *others = zip(line, widths, strict=True)
        right = "".join(f"  {cell:>{width}}" for cell, width in others)
        text.write(f"  {first[0]:<{first[1]}}{right}".rstrip() + "\n")
    return text.getvalue() + "\n"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return printable(str(value))
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
