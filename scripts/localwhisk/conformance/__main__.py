"""Command line of the conformance replay."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from localwhisk.conformance import engines
from localwhisk.conformance.recording import Exchange, read
from localwhisk.conformance.replay import Judged, Replay

DEVIATIONS = Path(__file__).resolve().parent.parent / "deviations.toml"
_SHOWN = 8
_COLUMNS = ("match", "miss", "deviation", "unstable", "skipped")


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay the files; 0 when all that is counted matches."""
    options = _parser().parse_args(arguments)
    deviations = tomllib.loads(DEVIATIONS.read_text("utf-8"))["deviations"]
    judged: list[tuple[str, Judged]] = []
    for path in options.files:
        exchanges = read(path)
        with _server(options.apihost, path.stem, exchanges) as address:
            replay = Replay(path.stem, address, deviations)
            results = replay.run(exchanges, lambda one: _report(one, verbose=options.verbose))
        judged += [(path.name, one) for one in results]
    return _summary(judged)


@contextmanager
def _server(apihost: str | None, name: str, exchanges: list[Exchange]) -> Iterator[str]:
    if apihost is not None:
        yield apihost
        return
    with engines.running(engines.settings(name, exchanges)) as address:
        yield address


def _report(one: Judged, *, verbose: bool) -> None:
    if one.verdict == "match" and not verbose:
        return
    sys.stdout.write(f"{one.verdict}: {one.exchange.id} {one.reason}\n")
    for line in one.differences[:_SHOWN] if one.verdict != "deviation" or verbose else ():
        sys.stdout.write(f"    {line}\n")
    sys.stdout.flush()


def _summary(judged: list[tuple[str, Judged]]) -> int:
    """The table, and as the last line how many of those counted match."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for name, one in judged:
        rows.setdefault((name, one.exchange.group), Counter())[one.verdict] += 1
    total: Counter[str] = Counter(one.verdict for _, one in judged)
    header = f"{'file':<18}{'group':<14}" + "".join(f"{column:>11}" for column in _COLUMNS)
    lines = ["", header]
    for (name, group), counts in rows.items():
        lines.append(f"{name:<18}{group:<14}" + "".join(f"{counts[column]:>11}" for column in _COLUMNS))
    lines.append(f"{'all':<32}" + "".join(f"{total[column]:>11}" for column in _COLUMNS))
    apart = [f"{total[name]} {name}" for name in _COLUMNS[2:] if total[name]]
    if apart:
        lines.append(f"counted apart: {', '.join(apart)}")
    counted = total["match"] + total["miss"]
    lines.append(f"{total['match']} of {counted} exchanges match")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if counted and not total["miss"] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="conformance",
        description="Replay exchanges recorded from a real OpenWhisk and show where the answers differ.",
    )
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a recording, one JSON exchange a line"
    )
    parser.add_argument(
        "--apihost",
        metavar="URL",
        help="a running server instead of an engine of its own per file; its state must be empty",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="also list what matches, and the differences of deviations"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
