"""Activation records over OpenWhisk's REST API: by id, and those of a name between two times. Nothing here is an engine's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import requests

TIMEOUT_S = 30
PAGE = 200
"""The most that OpenWhisk lists at once."""
MAX_PAGES = 25


class WhiskFailed(Exception):
    """OpenWhisk does not answer, or not to this key."""


@dataclass(frozen=True, slots=True)
class Activation:
    """One record; times in milliseconds, `duration` None for a trigger. `result` is a trigger's payload."""

    id: str
    name: str
    start: int
    duration: int | None
    status: str
    cause: str
    result: dict[str, Any]
    logs: tuple[str, ...]
    kind: str

    @classmethod
    def of(cls, value: dict[str, Any]) -> Activation:
        """Reads a full record."""
        response = value.get("response") or {}
        result = response.get("result")
        notes = {note["key"]: note["value"] for note in value.get("annotations") or []}
        path = str(notes.get("path", "")).partition("/")[2]
        return cls(
            id=value["activationId"],
            name=path or value["name"],
            start=int(value["start"]),
            duration=value.get("duration"),
            status=str(response.get("status") or ("success" if response.get("success") else "unknown")),
            cause=str(value.get("cause") or ""),
            result=result if isinstance(result, dict) else {},
            logs=tuple(map(str, value.get("logs") or ())),
            kind="trigger" if "path" not in notes else str(notes.get("kind", "")),
        )

    @property
    def batch_id(self) -> str:
        """The batch that it was about, "" where it says none."""
        return str(self.result.get("batch_id") or "")

    @property
    def children(self) -> list[str]:
        """The activations that a trigger's rules or a sequence started."""
        if self.kind == "sequence":
            return list(self.logs)
        if self.kind != "trigger":
            return []
        return [row["activationId"] for row in self.rules if row.get("activationId")]

    @property
    def rules(self) -> list[dict[str, Any]]:
        """What a trigger's record says of its rules."""
        found = []
        for line in self.logs if self.kind == "trigger" else ():
            try:
                found.append(json.loads(line[line.index("{") :]))
            except ValueError:
                continue
        return [row for row in found if isinstance(row, dict)]


class Whisk(Protocol):
    """What is read of an OpenWhisk."""

    def get(self, activation_id: str) -> Activation | None:
        """One record; None where it is not there (any more)."""

    def between(self, name: str, since: int, upto: int) -> Iterator[Activation]:
        """The records of a name that began between two times, newest first, a bounded number."""


class HttpWhisk:
    """A namespace of an OpenWhisk."""

    def __init__(self, api_host: str, key: str, *, insecure: bool) -> None:
        self._base = f"{api_host}/api/v1/namespaces/_/activations"
        self._session = requests.Session()
        self._session.auth = tuple(key.split(":", 1))  # type: ignore[assignment]  # a pair, as basic auth wants it
        self._session.verify = not insecure
        self._session.trust_env = False

    def get(self, activation_id: str) -> Activation | None:
        """GET of a record."""
        answer = self._get(f"{self._base}/{quote(activation_id, safe='')}")
        if answer.status_code in (400, 404):
            return None
        return Activation.of(self._json(answer))

    def between(self, name: str, since: int, upto: int) -> Iterator[Activation]:
        """GET of lists, a page at a time."""
        for page in range(MAX_PAGES):
            query = urlencode({"name": name, "since": since, "upto": upto, "docs": "true", "limit": PAGE, "skip": page * PAGE})
            rows = self._json(self._get(f"{self._base}?{query}"))
            yield from map(Activation.of, rows)
            if len(rows) < PAGE:
                return

    def _get(self, url: str) -> requests.Response:
        try:
            return self._session.get(url, timeout=TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            raise WhiskFailed(f"OpenWhisk does not answer: {type(error).__name__}") from error

    def _json(self, answer: requests.Response) -> Any:
        if answer.status_code != 200:
            raise WhiskFailed(f"OpenWhisk answered {answer.status_code} to a request for activations")
        return answer.json()
