"""`whisk logs`: activations of a state folder with their logs, in the order they ended, all namespaces."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from localwhisk.activations import STATUS_CODES
from localwhisk.lines import line, printable
from localwhisk.store import FILE_NAME

_POLL_S = 0.3
_AT_ONCE = 500
_STATUS = {code: status for status, code in STATUS_CODES.items()}
_STAMP = re.compile(r"^\S+Z +(stdout|stderr): ")
_COLUMNS = 'seq, id, namespace, name, filter, start, duration, "end", code, annotations, logs, response'
_SELECT_NEW = f"SELECT {_COLUMNS} FROM activations WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608  # constants


@dataclass(frozen=True, slots=True)
class Reader:
    """The records of one database file, opened to read only; works while the engine runs and when it does not."""

    path: Path

    def after(self, seq: int, *, limit: int = _AT_ONCE) -> list[sqlite3.Row]:
        """Records that were written after one."""
        return self._rows(_SELECT_NEW, (seq, limit))

    def mark(self, last: int) -> int:
        """Number after which the last few records come."""
        found = self._rows(
            "SELECT min(seq) - 1 AS mark FROM (SELECT seq FROM activations ORDER BY seq DESC LIMIT ?)", (last,)
        )
        if last <= 0:
            found = self._rows("SELECT max(seq) AS mark FROM activations", ())
        return int(found[0]["mark"] or 0)

    def _rows(self, sql: str, values: tuple[int, ...]) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, values).fetchall()


def run(options: Namespace) -> int:
    """Print them; 1 when there is no state folder."""
    path = options.state / FILE_NAME
    if not path.exists():
        sys.stderr.write(f"whisk: no engine has run over {options.state} (--state names another folder)\n")
        return 1
    try:
        _print(Reader(path), options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
    return 0


def _print(reader: Reader, options: Namespace) -> None:
    seq = reader.mark(options.last)
    while True:
        rows = reader.after(seq)
        for row in rows:
            seq = row["seq"]
            if not options.action or _name(row) == options.action or row["name"] == options.action:
                sys.stdout.write("".join(f"{text}\n" for text in _lines(row)))
        sys.stdout.flush()
        if len(rows) < _AT_ONCE:
            if not options.follow:
                return
            time.sleep(_POLL_S)


def _name(row: sqlite3.Row) -> str:
    return str(row["filter"])


def _lines(row: sqlite3.Row) -> Iterator[str]:
    """The line of an activation as `serve` prints it, its logs, and of a failure the reason."""
    annotations = json.loads(row["annotations"])
    paths = (pair["value"] for pair in annotations if pair["key"] == "path")
    yield line(
        start_ms=row["start"],
        path=next(paths, f"{row['namespace']}/{row['name']}"),
        status=_STATUS[row["code"]],
        duration_ms=None if row["end"] is None else row["duration"],
        annotations=annotations,
        activation_id=row["id"],
    )
    for entry in json.loads(row["logs"]):
        yield "    " + printable(_STAMP.sub(lambda found: "! " if found[1] == "stderr" else "  ", entry))
    if row["code"]:
        result = json.loads(row["response"]).get("result")
        reason = result.get("error", result) if isinstance(result, dict) else result
        yield "    error: " + printable(reason if isinstance(reason, str) else json.dumps(reason))
