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


@dataclass(frozen=True, slots=True)
class TemplateState:
    """An index template's version, and the devices' names that it maps, see `hort.mapped_fields`."""

    version: int
    shares: Mapping[str, Mapping[str, str]]


class DocumentStore(Protocol):
    """Stores bulk bodies. Each call raises StoreBusy or RequestRefused where it could not be carried out at all."""

    def bulk(self, index: str, body: bytes, *, timeout_s: float, batch_id: str = "") -> list[ItemError]:
        """Stores the documents of a bulk body; the ones that were not stored. `batch_id` is for `under_way`."""

    def under_way(self, batch_id: str) -> bool:
        """Whether the store still works on a bulk body of this batch; False where it does not tell."""

    def delete(self, index: str, ids: Sequence[str]) -> None:
        """Removes documents; one that is not there is as good as removed."""

    def template_states(self, pattern: str) -> dict[str, TemplateState]:
        """What the index templates say whose names match."""

    def put_template(self, name: str, body: Mapping[str, Any]) -> None:
        """Creates or replaces an index template."""

    def mapping(self, index: str) -> dict[str, Any] | None:
        """The mapping of an index; None where there is no such index."""

    def put_mapping(self, index: str, body: Mapping[str, Any]) -> None:
        """Adds fields to the mapping of an index; RequestRefused where it cannot take them."""


class StoreBusy(Exception):
    """The store is away, overloaded or not letting us in: the same request may succeed later; `status` where it answered."""

    def __init__(self, reason: str, *, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class RequestRefused(Exception):
    """The store refused the body as a whole; a part of it may be acceptable."""

    def __init__(self, status: int, kind: str, reason: str = "") -> None:
        super().__init__(f"HTTP {status} {kind}" + (f": {reason}" if reason else ""))
        self.status = status
        self.kind = kind
