"""Whether every closed window in analytics is what numpy makes of the stored records, to 1e-9, and none is from nothing.

numpy's extended precision, shifted by the first value: of timestamps that lie a millisecond apart plain doubles would leave
too little to compare with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from campaign.record_oracle import Rules, Stored, milliseconds
from campaign.verdict import DOUBLED, LOST, WRONG, Verdict

Key = tuple[str, str, str, str]
"""Level, device type, device id, event (both empty at type level)."""
TOLERANCE = 1e-9
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Column:
    """A field's statistics in one window; `scale` is its greatest magnitude."""

    n: int
    scale: float
    truth: Mapping[str, float]


def statistics(values: npt.NDArray[np.float64]) -> Column:
    """The truth about some numbers, one at least."""
    exact = values.astype(np.longdouble)
    shifted = exact - exact[0]
    mean = shifted.mean()
    ssd = np.square(shifted - mean).sum()
    truth = {
        "min": values.min(),
        "max": values.max(),
        "sum": shifted.sum() + exact[0] * len(values),
        "avg": exact[0] + mean,
        "ssd": ssd,
        "std": np.sqrt(ssd / len(values)),
    }
    return Column(len(values), float(np.abs(values).max()), {name: float(value) for name, value in truth.items()})


class Records:
    """The records of one key in the order of their times; `table` has a row a record and a column a field, NaN for none."""

    def __init__(self, rows: Sequence[Stored]) -> None:
        ordered = sorted(rows, key=lambda row: row.at_ms)
        self.times = np.array([row.at_ms for row in ordered], np.int64)
        self.fields = sorted({name for row in ordered for name in row.fields})
        place = {name: number for number, name in enumerate(self.fields)}
        self.table = np.full((len(ordered), len(self.fields)), np.nan)
        for number, row in enumerate(ordered):
            self.table[number, [place[name] for name in row.fields]] = row.numbers

    def ends(self, rules: Rules) -> Iterator[int]:
        """Ends of all windows that hold one of them."""
        first = self.times - self.times % rules.slide_ms + rules.slide_ms
        later = range(0, rules.size_ms, rules.slide_ms)
        ends = np.unique(np.concatenate([first + more for more in later]))
        yield from (int(end) for end in ends if self.within(int(end), rules)[0])

    def within(self, end: int, rules: Rules) -> tuple[int, slice]:
        """How many lie in [end - size, end), and which."""
        low, high = np.searchsorted(self.times, [end - rules.size_ms, end])
        return int(high - low), slice(int(low), int(high))

    def columns(self, part: slice) -> dict[str, Column]:
        """Statistics of each field that some of them have."""
        found = {}
        for number, name in enumerate(self.fields):
            values = self.table[part, number]
            values = values[~np.isnan(values)]
            if len(values):
                found[name] = statistics(values)
        return found


def by_key(stored: Iterable[Stored]) -> dict[Key, Records]:
    """The records that count in windows by key, at both levels."""
    rows: dict[Key, list[Stored]] = defaultdict(list)
    for row in stored:
        if not row.late:
            rows["device", row.group, row.device, row.event].append(row)
            rows["device_type", row.group, "", ""].append(row)
    return {key: Records(mine) for key, mine in rows.items()}


def judge(stored: Iterable[Stored], analytics: Iterable[Mapping[str, Any]], rules: Rules, verdict: Verdict) -> None:
    """Compares each window's document with the records; those that end after `closed_until_ms` are only counted."""
    records = by_key(stored)
    expected = {(key, end) for key, mine in records.items() for end in mine.ends(rules)}
    seen: dict[tuple[Key, int], str] = {}
    for document in analytics:
        window = _window(document, verdict)
        if window is None:
            continue
        ids = (document["_id"],)
        if window in seen:
            verdict.add(DOUBLED, "window", **_facts(window, "has two documents", seen[window], *ids))
        seen[window] = document["_id"]
        if window not in expected:
            verdict.add(WRONG, "window", **_facts(window, "is from no record", *ids))
        elif window[1] > rules.closed_until_ms:
            verdict.windows["open"] += 1
        else:
            problems = _compare(document, records[window[0]], window[1], rules)
            _count(document, verdict)
            if problems:
                verdict.add(WRONG, "window", **_facts(window, "; ".join(problems), *ids))
    due = {window for window in expected if window[1] <= rules.closed_until_ms}
    verdict.windows["due"] += len(due)
    for key, end in sorted(due - seen.keys()):
        count = records[key].within(end, rules)[0]
        verdict.add(LOST, "window", **_facts((key, end), f"is missing, it holds {count} records"))


def _compare(document: Mapping[str, Any], mine: Records, end: int, rules: Rules) -> list[str]:
    count, part = mine.within(end, rules)
    try:
        return list(_problems(document, count, mine.columns(part), end - rules.size_ms))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"cannot be read: {type(error).__name__} {error}"]


def _count(document: Mapping[str, Any], verdict: Verdict) -> None:
    verdict.windows["compared"] += 1
    verdict.windows[f"compared {document['level']}"] += 1
    verdict.windows["written again"] += type(document.get("revision")) is int and document["revision"] > 0


def _window(document: Mapping[str, Any], verdict: Verdict) -> tuple[Key, int] | None:
    """The window that a document is about; None, and a finding, where it says none."""
    try:
        end = milliseconds(document["window_end"])
        if document["level"] == "device_type":
            return ("device_type", document["devicetype"], "", ""), end
        return (document["level"], document["devicetype"], document["id"], document["event"]), end
    except (KeyError, TypeError, ValueError) as error:
        detail = f"cannot be read: {type(error).__name__} {error}"
        verdict.add(WRONG, "window", ids=(document["_id"],), detail=detail)
        return None


def _facts(window: tuple[Key, int], text: str, *ids: str) -> dict[str, Any]:
    key, end = window
    return {"group": key[1], "device": key[2], "ids": ids, "detail": f"{key[0]} window that ends at {end}: {text}"}


def _problems(document: Mapping[str, Any], count: int, columns: Mapping[str, Column], start: int) -> Iterator[str]:
    """What is not as numpy says."""
    if milliseconds(document["window_start"]) != start:
        yield f"begins at {document['window_start']}, expected {start}"
    if type(document.get("revision")) is not int or document["revision"] < 0:
        yield f"revision is {document.get('revision')!r}"
    if document["count"] != count:
        yield f"count is {document['count']}, expected {count}"
    counts = {name: column.n for name, column in columns.items()}
    if document["n"] != counts:
        yield f"n is {document['n']}, expected {counts}"
    for what in ("min", "max", "sum", "avg", "ssd", "std"):
        got = document["properties"].get(what, {})
        if got.keys() != columns.keys():
            yield f"{what} is of {sorted(got)}, expected {sorted(columns)}"
        for name in got.keys() & columns.keys():
            right = columns[name].truth[what]
            if not abs(got[name] - right) <= TOLERANCE * abs(right) + _resolution(what, columns[name]):
                yield f"{what}({name}) is {got[name]!r}, expected {right!r}"


def _resolution(what: str, column: Column) -> float:
    """What a double leaves of a difference: only near zero does it matter beside the tolerance."""
    unit = 4 * EPSILON * column.scale
    return {"sum": unit * column.n, "avg": unit, "std": unit, "ssd": unit**2 * column.n}.get(what, 0.0)
