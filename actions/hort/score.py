"""Scoring a batch: which model gets which record, all models at once, each on its own budget."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from hort import clock, config, documents, model_client, models, outgoing, replay, urls
from hort.breaker import Breakers
from hort.errors import BatchTooLarge, ModelError
from hort.model_client import Limits, ModelCalls, Sender
from hort.model_store import ModelStore
from hort.models import Model
from hort.records import Key, Records
from hort.registry import active_list
from hort.results import ERROR, OK, OPEN, STAGE, TIMEOUT, Room, Sheet

ACTIVE_FOR_S = 1.0
"""How long the list of active models is used before it is read again."""
GRACE_S = 0.5
"""Calls end at the budget by themselves; after this much more they are cancelled."""


DEFAULT_BUDGET_MS = 10_000
MARGIN_MS = 5_000
"""Left of the activation's own time for what comes after the calls."""


def budget_s(params: Mapping[str, Any], *, now: Callable[[], int] = clock.now_ms) -> float:
    """Seconds that a batch's calls may take: parameter `score_budget_ms`, less where the activation ends sooner."""
    budget = config.integer(
        params, "score_budget_ms", default=DEFAULT_BUDGET_MS, minimum=100, maximum=300_000
    )
    deadline = os.environ.get("__OW_DEADLINE", "")
    if deadline.isdigit():
        budget = min(budget, max(100, int(deadline) - MARGIN_MS - now()))
    return budget / 1000


@dataclass(frozen=True, slots=True)
class Scored:
    """What a batch's scoring brought: bulk lines for two indices, and counts by name of the counter.

    `made` counts what was done (calls, retries, breakers), `counts` what becomes of the batch if this scoring is the one that is kept.
    """

    results: bytes
    dead: bytes
    made: Mapping[str, int]
    counts: Mapping[str, int]
    statuses: Mapping[str, int]


class ActiveModels:
    """The enabled models of the last poll, read again at most once a second and parsed only when changed."""

    def __init__(self, store: ModelStore, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._until = -math.inf
        self._models: list[Model] = []

    def __call__(self) -> list[Model]:
        """The models that may be sent something."""
        now = self._monotonic()
        if now >= self._until:
            self._models = _usable(active_list(self._store).get("models", []))
            self._until = now + ACTIVE_FOR_S
        return self._models


def _usable(values: Sequence[Mapping[str, object]]) -> list[Model]:
    found: dict[str, Model] = {}
    for value in values[: models.MAX_MODELS]:
        try:
            model = models.stored(value)
        except ModelError:
            continue  # poll-models checked the list; what another version wrote is not ours to judge here
        if model.enabled:
            found[model.name] = model
    return list(found.values())


class Scorer:
    """Scores batches over connections that are kept from one activation to the next."""

    def __init__(self, policy: urls.Policy, *, sender: Sender | None = None) -> None:
        self._runner = asyncio.Runner()
        self._sender = sender or outgoing.Client(policy)

    def close(self) -> None:
        """Closes the connections and the event loop."""
        if isinstance(self._sender, outgoing.Client):
            self._sender.close()
        self._runner.close()

    def score(
        self,
        records: Records,
        found: Sequence[Model],
        *,
        breakers: Breakers,
        budget_s: float,
        room: Room | None = None,
        now: Callable[[], int] = clock.now_ms,
    ) -> list[Sheet]:
        """A finished sheet for each model that applies to some record; BatchTooLarge where their results do not fit into `room`."""
        sheets = sheets_for(records, found, room)
        gc.disable()  # JSON values hold no cycles, and scanning them costs more than building them
        try:
            self._runner.run(self._all(sheets, breakers, budget_s, now))
        finally:
            gc.enable()
        return sheets

    async def _all(
        self, sheets: Sequence[Sheet], breakers: Breakers, budget_s: float, now: Callable[[], int]
    ) -> None:
        large = sum(sheet.model.protocol == "instances" for sheet in sheets)
        limits = Limits(time.monotonic() + budget_s, model_client.BODY_BYTES // max(1, large))
        tasks = [
            asyncio.create_task(
                ModelCalls(sheet, sender=self._sender, breakers=breakers, limits=limits, now=now).run()
            )
            for sheet in sheets
        ]
        if tasks:
            await asyncio.wait(tasks, timeout=budget_s + GRACE_S)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if any(map(_too_large, outcomes)):
            raise BatchTooLarge("the batch's results do not fit")
        for sheet, outcome in zip(sheets, outcomes, strict=True):
            if isinstance(outcome, Exception):
                sheet.finish(ERROR, f"the call went wrong: {type(outcome).__name__}")
            sheet.finish(TIMEOUT, "the batch's time for scoring was over")


def _too_large(outcome: BaseException | None) -> bool:
    if isinstance(outcome, BaseExceptionGroup):
        return outcome.subgroup(BatchTooLarge) is not None
    return isinstance(outcome, BatchTooLarge)


def sheets_for(records: Records, found: Sequence[Model], room: Room | None = None) -> list[Sheet]:
    """An empty sheet for each model that applies to some record."""
    chosen = assign(records.keys, found)
    present = set(records.key_index)
    identities = records.identities() if found else []
    sheets = []
    for model in found:
        mine = chosen[model.name] & present
        if mine == present:
            sheets.append(Sheet(model, records, range(len(records)), identities, room))
        elif mine:
            positions = [position for position, key in enumerate(records.key_index) if key in mine]
            sheets.append(Sheet(model, records, positions, identities, room))
    return [sheet for sheet in sheets if sheet.positions]


def asked(found: Sequence[Model], stage: Mapping[str, bytes]) -> list[Model]:
    """The models that a staged batch is for: all, or those that a replay is limited to."""
    if replay.MODELS not in stage:
        return list(found)
    names = orjson.loads(stage[replay.MODELS])
    return [model for model in found if model.name in names]


def answered(sheets: Sequence[Sheet], stage: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of a replay that is limited to some models: its dead letters without those whose model was not asked, which stay."""
    if replay.MODELS not in stage:
        return {}
    done = {documents.letter_id(name, STAGE) for sheet in sheets for name in sheet.names()}
    return {replay.REPLAYED: replay.only([name for name in replay.letters(stage) if name in done])}


def assign(keys: Sequence[Key], found: Sequence[Model]) -> dict[str, set[int]]:
    """The numbers of the keys that go to each model."""
    result: dict[str, set[int]] = {model.name: set() for model in found}
    candidates: dict[tuple[str, str], list[Model]] = {}
    for number, (device_type, device_id, event) in enumerate(keys):
        if (device_type, event) not in candidates:
            candidates[device_type, event] = [model for model in found if model.applies(device_type, event)]
        groups: dict[str, list[Model]] = {}
        for model in candidates[device_type, event]:
            if model.group:
                groups.setdefault(model.group, []).append(model)
            else:
                result[model.name].add(number)
        for group, members in groups.items():
            winner = pick(group, members, f"{device_type}\0{device_id}")
            if winner is not None:
                result[winner.name].add(number)
    return result


def pick(group: str, members: Sequence[Model], device: str) -> Model | None:
    """The member that serves a device: the same one always, in shares of the weights.

    Weighted rendezvous hashing (Thaler, Ravishankar 1998): when a member comes or goes, only its own devices move.
    """
    best, lowest = None, math.inf
    for model in members:
        if model.weight <= 0:
            continue
        digest = hashlib.blake2b(f"{group}\0{model.name}\0{device}".encode("utf-8", "replace"), digest_size=8)
        uniform = (int.from_bytes(digest.digest()) + 1) / (2**64 + 1)
        rank = -math.log(uniform) / model.weight
        if rank < lowest:
            best, lowest = model, rank
    return best


def scored(sheets: Sequence[Sheet]) -> Scored:
    """The sheets of one batch put together."""
    made: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    buried: Counter[str] = Counter()
    for sheet in sheets:
        statuses.update(sheet.counts)
        made["score.calls"] += sheet.calls
        made.update({f"score.retries.{kind}": number for kind, number in sheet.retries.items()})
        made.update({f"breaker.{change}": number for change, number in sheet.breaker.items()})
        if sheet.dead:
            buried.update({f"dead.{STAGE}.model-{status}": sheet.counts[status] for status in sheet.counts if status != OK})
    counts: dict[str, int] = {"score.batches": 1, **{f"score.{status}": number for status, number in statuses.items()}, **buried}
    dead = b"".join(line for sheet in sheets for line in sheet.dead)
    counts[f"{STAGE}.payloads-cut"] = documents.cut(dead)
    return Scored(b"".join(sheet.lines() for sheet in sheets), dead, made, counts, statuses)


def troubles(sheets: Sequence[Sheet]) -> dict[str, dict[str, Any]]:
    """Of each model that gave no answer to some record: how many by status, and the last error."""
    return {
        sheet.model.name: {**{status: count for status, count in sheet.counts.items() if status != OK}, "error": sheet.last_error or OPEN}
        for sheet in sheets
        if set(sheet.counts) - {OK}
    }


def note(store: ModelStore, sheets: Sequence[Sheet], *, kept: bool, now: int) -> None:
    """Adds what happened to each model's numbers; results count where they are the ones that are kept."""
    for sheet in sheets:
        facts = {"last_at": clock.iso(now)} if sheet.counts[OK] else {}
        if sheet.last_error:
            facts |= {"last_error": sheet.last_error, "last_error_at": clock.iso(now)}
        made = {**sheet.breaker, "retries": sheet.retries.total(), "calls": sheet.calls, "latency_ms": round(sheet.latency_ms)}
        numbers = {**made, **sheet.counts} if kept else made
        store.add_stats(sheet.model.name, counts=numbers, facts=facts)
