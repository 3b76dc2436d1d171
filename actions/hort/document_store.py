"""What a store of documents must do for the sink; `hort.elastic` is the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ItemError:
    """A document of a bulk body that was not stored: its place in the body, HTTP status, type and text of the error."""

    position: int
    status: int
    kind: str
    reason: str


class DocumentStore(Protocol):
    """Stores bulk bodies. Each call raises StoreBusy or RequestRefused where it could not be carried out at all."""

    def bulk(self, index: str, body: bytes, *, timeout_s: float) -> list[ItemError]:
        """Stores the documents of a bulk body; the ones that were not stored."""

    def delete(self, index: str, ids: Sequence[str]) -> None:
        """Removes documents; one that is not there is as good as removed."""

    def template_versions(self, pattern: str) -> dict[str, int]:
        """Versions of the index templates whose names match."""

    def put_template(self, name: str, body: Mapping[str, Any]) -> None:
        """Creates or replaces an index template."""


class StoreBusy(Exception):
    """The store is away, overloaded or not letting us in: the same request may succeed later."""


class RequestRefused(Exception):
    """The store refused the body as a whole; a part of it may be acceptable."""

    def __init__(self, status: int, kind: str) -> None:
        super().__init__(f"HTTP {status} {kind}")
        self.status = status
        self.kind = kind
