"""Photos whose plates are known, read by bare OpenALPR and by the strategy of actions/plates, side by side.

Truth is a file of a line a plate, columns parted by tabs or commas: file and plate, or file, x, y, width, height and plate, with a
header or without (OpenALPR's own benchmark files have none); or JSON, `{"file": "plate" or ["plate", ...]}`.

A photo counts for top-1 where the first result's plate is a true one, for top-n where one is among the candidates of a result. A false
plate is a result whose plate is none of the photo's: a misreading as much as a plate where there is none.
"""

from __future__ import annotations

import csv
import json
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

TOP_N = 10
SCRIPTS = Path(__file__).resolve().parent.parent
ACTIONS = SCRIPTS.parent / "actions"
_SIDES = ("bare", "ours")
_ROWS = (
    ("top1", "exact first answer", "{:.1%}"),
    ("topn", "among the first {n}", "{:.1%}"),
    ("false_plates", "false plates", "{}"),
    ("unanswered", "photos without an answer", "{}"),
    ("p50_ms", "p50, ms", "{:.0f}"),
    ("p95_ms", "p95, ms", "{:.0f}"),
)

Truth = dict[str, set[str]]


def run(*, photos: Path, truth: Path, country: str = "us", n: int = TOP_N) -> dict[str, Any]:
    """Reads every photo of the truth that the folder has, both ways; the figures of each."""
    known = read_truth(truth)
    names = [name for name in known if (photos / name).is_file()]
    if not names:
        raise SystemExit(f"--photos {photos} has none of the {len(known)} files that --truth {truth} names")
    if len(names) < len(known):
        print(
            f"{len(known) - len(names)} of the {len(known)} files in {truth} are not in {photos}: left out",
            file=sys.stderr,
        )
    answers = list(_read([photos / name for name in names], country=country, n=n))
    return {
        "photos": len(names),
        "country": country,
        "n": n,
        **{
            side: judged(
                [(known[name], answer[side]) for name, answer in zip(names, answers, strict=True)], n=n
            )
            for side in _SIDES
        },
    }


def read_truth(path: Path) -> Truth:
    """The plates of each file, upper case without blanks."""
    text = path.read_text(encoding="utf-8-sig")
    pairs = _from_json(json.loads(text)) if text.lstrip().startswith(("{", "[")) else _from_table(text)
    found: Truth = {}
    for name, plate in pairs:
        found.setdefault(name, set()).add("".join(plate.upper().split()))
    if not found:
        raise SystemExit(f"--truth {path} names no photo")
    return found


def _from_table(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip()]
    parted = "\t" if lines and "\t" in lines[0] else ","
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=parted)]
    header = [cell.lower() for cell in rows[0]] if rows else []
    named = "plate" in header
    file_column = header.index("file") if "file" in header else 0
    plate_column = header.index("plate") if named else -1
    for row in rows[1 if named else 0 :]:
        if len(row) < 2:
            raise SystemExit(f"a line of the truth needs a file and a plate, got {row!r}")
        yield row[file_column], row[plate_column]


def _from_json(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, plates in value.items():
            yield from ((name, plate) for plate in ([plates] if isinstance(plates, str) else plates))
        return
    for entry in value:
        yield entry["file"], entry["plate"]


def judged(pairs: Sequence[tuple[set[str], dict[str, Any]]], *, n: int) -> dict[str, Any]:
    """The figures of one way of reading, from the true plates of each photo and what was answered."""
    first = sum(bool(answer["results"]) and answer["results"][0]["plate"] in true for true, answer in pairs)
    among = sum(
        any(true & set(result["candidates"][:n]) for result in answer["results"]) for true, answer in pairs
    )
    times = sorted(answer["ms"] for _, answer in pairs)
    return {
        "top1": first / len(pairs),
        "topn": among / len(pairs),
        "false_plates": sum(
            result["plate"] not in true for true, answer in pairs for result in answer["results"]
        ),
        "unanswered": sum(not answer["results"] for _, answer in pairs),
        "p50_ms": _percentile(times, 0.50),
        "p95_ms": _percentile(times, 0.95),
    }


def show(figures: dict[str, Any]) -> None:
    """Prints the two side by side."""
    table = Table(title=f"{figures['photos']} photos, country {figures['country']}", title_justify="left")
    for name in ("", "bare OpenALPR", "ours"):
        table.add_column(name, justify="right" if name else "left")
    for key, label, form in _ROWS:
        table.add_row(label.format(n=figures["n"]), *(form.format(figures[side][key]) for side in _SIDES))
    Console(width=140).print(table)


def _percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank."""
    return round(values[max(0, math.ceil(share * len(values)) - 1)], 1)


def _read(paths: Sequence[Path], *, country: str, n: int) -> Iterator[dict[str, Any]]:
    """The answers on the photos, from a process that has what the plates server has, and nothing else."""
    installed = _installation()
    command = [installed["HORT_PLATES_PYTHON"], "-m", "workloads.plates_reading", country, str(n)]
    environment = {**os.environ, **installed, "PYTHONPATH": f"{ACTIONS}{os.pathsep}{SCRIPTS}"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes to the reading process were not made")
        for count, path in enumerate(paths, 1):
            process.stdin.write(f"{path.resolve()}\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"reading {path} ended the process with status {process.wait()}")
            if sys.stderr.isatty():
                print(f"\r{count}/{len(paths)}", end="", file=sys.stderr)
            yield json.loads(line)
        process.stdin.close()


def _installation() -> dict[str, str]:
    """Where OpenALPR is and the Python beside it, built if need be."""
    done = subprocess.run(
        [SCRIPTS / "plates-native", "--build-only"], check=True, stdout=subprocess.PIPE, text=True
    )
    pairs = (word.partition("=") for word in shlex.split(done.stdout))
    return {name: value for name, found, value in pairs if found}
