"""All entities in memory, written through to the store; the code of actions stays there."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from localwhisk import codec, messages
from localwhisk.clock import Clock, now_ms
from localwhisk.entities import Action, AnyEntity, Package, Rule, Trigger
from localwhisk.errors import ApiError, NotKept, missing
from localwhisk.store import Statement, Store

log = logging.getLogger("localwhisk.catalog")
E_ = TypeVar("E_", Action, Package, Trigger, Rule)

_UPSERT = "INSERT INTO entities (doc, collection, body) VALUES (?, ?, ?) ON CONFLICT (doc) DO UPDATE SET body = excluded.body"
_INSERT_CODE = "INSERT INTO code_pieces (doc, piece, text) VALUES (?, ?, ?)"
_DELETE = "DELETE FROM entities WHERE doc = ?"
_DELETE_CODE = "DELETE FROM code_pieces WHERE doc = ?"
_LOAD = "SELECT doc, collection, body FROM entities"
_LOAD_CODE = "SELECT text FROM code_pieces WHERE doc = ? ORDER BY piece"
_PIECE = 1 << 20  # SQLite keeps a copy of the last value it was given


class Catalog:
    """Entities by their document key, which all collections of a namespace share.

    Built-in entities are visible but not stored; storing over one replaces it, deleting brings it back
    at the next start.
    """

    def __init__(self, store: Store, *, clock: Clock = now_ms) -> None:
        self._store = store
        self._clock = clock
        self._docs: dict[str, AnyEntity] = {}
        self._last_update = 0
        self._run_mark = os.urandom(4).hex()
        self._revisions = itertools.count(1)

    def load(self) -> None:
        """Read everything from the store."""
        for doc, collection, body in self._store.rows(_LOAD):
            entity = codec.decode(collection, body)
            self._docs[doc] = entity
            self._last_update = max(self._last_update, entity.updated)

    def add_builtins(self, *entities: AnyEntity) -> None:
        """Show entities that are part of the engine."""
        for entity in entities:
            self._docs.setdefault(entity.doc, entity)

    def new_revision(self) -> str:
        """A mark no other update of any run carries."""
        return f"{self._run_mark}-{next(self._revisions)}"

    def stamp(self) -> int:
        """Time of an update in epoch ms, each later than the one before, so that lists keep their order."""
        self._last_update = max(self._clock(), self._last_update + 1)
        return self._last_update

    def get(self, doc: str) -> AnyEntity | None:
        """Entity of any kind."""
        return self._docs.get(doc)

    def find(self, kind: type[E_], doc: str) -> E_ | None:
        """Entity of a kind, None when there is none by this name; raises 409 for another kind."""
        entity = self._docs.get(doc)
        if entity is None:
            return None
        if not isinstance(entity, kind):
            raise ApiError(409, messages.CONFLICT_COLLECTION)
        return entity

    def require(self, kind: type[E_], doc: str) -> E_:
        """Entity of a kind; raises 404 or 409."""
        entity = self.find(kind, doc)
        if entity is None:
            raise missing()
        return entity

    def of_kind(self, kind: type[E_], where: Callable[[E_], bool]) -> list[E_]:
        """Entities of a kind, newest first."""
        found = [entity for entity in self._docs.values() if isinstance(entity, kind) and where(entity)]
        return sorted(found, key=lambda entity: entity.updated, reverse=True)

    def actions_in(self, path: str) -> list[Action]:
        """Actions of one package ('guest/pkg')."""
        return self.of_kind(Action, lambda action: action.path == path)

    def code(self, doc: str) -> str:
        """Code of an action, "" for none."""
        return "".join(text for (text,) in self._store.rows(_LOAD_CODE, (doc,)))

    async def save(
        self, *entities: AnyEntity, code: str | None = None, drop: AnyEntity | None = None
    ) -> None:
        """Keep entities (and the code of the first), durable when this returns; `drop` goes in the same step."""
        before = self._before(*entities, *((drop,) if drop else ()))
        statements = list(self._statements(entities, code))
        if drop is not None:
            statements += self._removal(drop)
        await self._write(statements, before)

    async def remove(self, *entities: AnyEntity, also_save: tuple[AnyEntity, ...] = ()) -> None:
        """Delete entities, and keep others in the same step."""
        before = self._before(*entities, *also_save)
        statements = [statement for entity in entities for statement in self._removal(entity)]
        statements += self._statements(also_save, None)
        await self._write(statements, before)

    def _before(self, *entities: AnyEntity) -> dict[str, AnyEntity | None]:
        return {entity.doc: self._docs.get(entity.doc) for entity in entities}

    async def _write(self, statements: list[Statement], before: dict[str, AnyEntity | None]) -> None:
        """Make a change durable, or take it back; raises NotKept."""
        after = {doc: self._docs.get(doc) for doc in before}
        try:
            await self._store.write(*statements, synced=True)
        except NotKept:
            for doc, entity in before.items():
                if self._docs.get(doc) is after[doc]:
                    self._put_back(doc, entity)
            raise

    def _put_back(self, doc: str, entity: AnyEntity | None) -> None:
        if entity is None:
            self._docs.pop(doc, None)
        else:
            self._docs[doc] = entity

    def _statements(self, entities: tuple[AnyEntity, ...], code: str | None) -> Iterator[Statement]:
        for number, entity in enumerate(entities):
            self._docs[entity.doc] = entity
            yield Statement(_UPSERT, (entity.doc, entity.COLLECTION, codec.encode(entity)))
            if code is not None and number == 0:
                yield Statement(_DELETE_CODE, (entity.doc,))
                yield Statement(_INSERT_CODE, many=partial(_pieces, entity.doc, code))

    def _removal(self, entity: AnyEntity) -> list[Statement]:
        self._docs.pop(entity.doc, None)
        return [Statement(_DELETE, (entity.doc,)), Statement(_DELETE_CODE, (entity.doc,))]


def _pieces(doc: str, code: str) -> Iterator[tuple[str, int, str]]:
    for number, start in enumerate(range(0, len(code), _PIECE)):
        yield doc, number, code[start : start + _PIECE]
