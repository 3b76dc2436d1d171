"""Activation records: how they are kept, found and shown."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from localwhisk import jsonio
from localwhisk.runtime_api import Status
from localwhisk.store import Statement, Store

STATUS_CODES: dict[str, int] = {
    "success": 0,
    "application error": 1,
    "action developer error": 2,
    "whisk internal error": 3,
}
ID_LENGTH = 32

_COLUMNS = 'id, namespace, name, subject, version, cause, start, "end", duration, code, annotations'
_INSERT = (
    f"INSERT OR REPLACE INTO activations ({_COLUMNS}, filter, bytes, logs, response) "  # noqa: S608  # constants
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_RUNNING = "INSERT OR REPLACE INTO running (id, body) VALUES (?, ?)"
_DELETE_RUNNING = "DELETE FROM running WHERE id = ?"


def new_id() -> str:
    """32 hexadecimal digits."""
    return os.urandom(16).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """One record; times in epoch ms.

    `result` is the parsed JSON value. `end` is None for triggers, which have no end, duration or size.
    `path` is the annotation of that name, None for triggers.
    """

    id: str
    namespace: str
    subject: str
    name: str
    version: str
    start: int
    status: Status
    result: Any
    path: str | None = None
    end: int | None = None
    duration: int | None = None
    size: int | None = None
    cause: str | None = None
    annotations: Sequence[Mapping[str, Any]] = ()
    logs: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.status == "success"

    @property
    def filter(self) -> str:
        """What the `name` filter of a list is compared to: the path without its namespace, or the name."""
        return self.name if self.path is None else self.path.split("/", 1)[1]

    def response(self) -> dict[str, Any]:
        """The `response` member."""
        response: dict[str, Any] = {"result": self.result}
        if self.size is not None:
            response["size"] = self.size
        response["status"] = self.status
        response["success"] = self.ok
        return response

    def document(self, *, logs: bool = True) -> bytes:
        """Full record as JSON; without logs for the answer of a blocking call, which does not wait for them."""
        return _record(_Row.of(self), jsonio.dumps(list(self.logs) if logs else []), self._response_json())

    def statements(self) -> tuple[Statement, ...]:
        """What keeps the record and ends its running mark."""
        logs, response = jsonio.dumps(list(self.logs)), self._response_json()
        row = _Row.of(self)
        values = (*row.values(), self.filter, len(logs) + len(response), logs, response)
        return Statement(_INSERT, values), Statement(_DELETE_RUNNING, (self.id,))

    def running_statement(self) -> Statement:
        """What marks it as begun, so that a crash does not lose it."""
        return Statement(_INSERT_RUNNING, (self.id, jsonio.dumps(self._marks())))

    def _response_json(self) -> bytes:
        return jsonio.dumps(self.response())

    def _marks(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "namespace": self.namespace,
            "subject": self.subject,
            "name": self.name,
            "version": self.version,
            "start": self.start,
            "path": self.path,
            "cause": self.cause,
            "annotations": list(self.annotations),
        }


@dataclass(frozen=True, slots=True)
class _Row:
    """The small columns of a record, in the order of _COLUMNS."""

    id: str
    namespace: str
    name: str
    subject: str
    version: str
    cause: str | None
    start: int
    end: int | None
    duration: int | None
    code: int
    annotations: bytes

    @classmethod
    def of(cls, activation: Activation) -> _Row:
        return cls(
            activation.id,
            activation.namespace,
            activation.name,
            activation.subject,
            activation.version,
            activation.cause,
            activation.start,
            activation.end,
            activation.duration,
            STATUS_CODES[activation.status],
            jsonio.dumps(list(activation.annotations)),
        )

    def values(self) -> tuple[Any, ...]:
        return (
            self.id,
            self.namespace,
            self.name,
            self.subject,
            self.version,
            self.cause,
            self.start,
            self.end,
            self.duration,
            self.code,
            self.annotations,
        )

    def summary(self) -> dict[str, Any]:
        """Item of a list."""
        document = self.head()
        document |= {"name": self.name, "namespace": self.namespace, "publish": False, "start": self.start}
        return {"statusCode": self.code, **document, "version": self.version}

    def head(self) -> dict[str, Any]:
        """Members up to the end of the run, in the server's order."""
        document: dict[str, Any] = {
            "activationId": self.id,
            "annotations": orjson.Fragment(self.annotations),
        }
        optional = {"cause": self.cause, "duration": self.duration, "end": self.end}
        return document | {key: value for key, value in optional.items() if value is not None}


def _record(row: _Row, logs: bytes, response: bytes) -> bytes:
    return orjson.dumps(
        {
            **row.head(),
            "logs": orjson.Fragment(logs),
            "name": row.name,
            "namespace": row.namespace,
            "publish": False,
            "response": orjson.Fragment(response),
            "start": row.start,
            "subject": row.subject,
            "version": row.version,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which records to list; `since` and `upto` in epoch ms, both included."""

    namespace: str
    name: str | None = None
    since: int | None = None
    upto: int | None = None
    limit: int = 30
    skip: int = 0

    def where(self) -> tuple[str, list[Any]]:
        """SQL condition and its values."""
        parts, values = ["namespace = ?"], [self.namespace]
        tests = (("filter = ?", self.name), ("start >= ?", self.since), ("start <= ?", self.upto))
        for sql, value in tests:
            if value is not None:
                parts.append(sql)
                values.append(value)  # type: ignore[arg-type]  # integers beside text
        return " AND ".join(parts), list(values)


class ActivationStore:
    """Reads of the records; writes go through Activation.statements()."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def count(self, query: Query) -> int:
        """Number of records, those skipped subtracted."""
        where, values = query.where()
        row = self._store.row(f"SELECT count(*) FROM activations WHERE {where}", values)  # noqa: S608
        return max(0, int(row[0]) - query.skip) if row else 0

    def summaries(self, query: Query) -> bytes:
        """JSON list, newest first."""
        rows = self._select(_COLUMNS, query)
        return orjson.dumps([_Row(*row).summary() for row in rows])

    def documents(self, query: Query) -> bytes:
        """JSON list of full records."""
        rows = self._select(f"{_COLUMNS}, logs, response", query)
        return b"[" + b",".join(_record(_Row(*row[:-2]), row[-2], row[-1]) for row in rows) + b"]"

    def document(self, namespace: str, activation_id: str) -> bytes | None:
        """One full record."""
        row = self._one(f"{_COLUMNS}, logs, response", namespace, activation_id)
        return None if row is None else _record(_Row(*row[:-2]), row[-2], row[-1])

    def member(self, namespace: str, activation_id: str, name: str) -> bytes | None:
        """`logs` or `response` of one record as JSON."""
        row = self._one(name, namespace, activation_id)
        return None if row is None else bytes(row[0])

    def left_running(self) -> list[dict[str, Any]]:
        """What the last run of the engine began and did not end."""
        return [jsonio.loads(body) for (body,) in self._store.rows("SELECT body FROM running")]

    def _one(self, columns: str, namespace: str, activation_id: str) -> Any | None:
        sql = f"SELECT {columns} FROM activations WHERE id = ? AND namespace = ?"  # noqa: S608  # constants
        return self._store.row(sql, (activation_id, namespace))

    def _select(self, columns: str, query: Query) -> list[Any]:
        where, values = query.where()
        sql = (
            f"SELECT {columns} FROM activations WHERE {where} "  # noqa: S608  # constants
            "ORDER BY start DESC, seq DESC LIMIT ? OFFSET ?"
        )
        return self._store.rows(sql, [*values, query.limit, query.skip])
