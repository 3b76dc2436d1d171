"""The pool's bookkeeping with workers that are only names."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from localwhisk.runtimes.slots import NoRoom, Slot, Slots
from tests.support.actions_specs import spec
from tests.support.fuzz import examples


class Book:
    """Slots over worker names, with a clock by hand."""

    def __init__(self, *, memory_mb: int = 1024, max_idle: int = 8, max_waiting: int = 4) -> None:
        self.dead: set[str] = set()
        self.discarded: list[Slot[str]] = []
        self.now = 0.0
        self.names = 0
        self.slots: Slots[str] = Slots(
            memory_mb=memory_mb,
            max_idle=max_idle,
            max_waiting=max_waiting,
            alive=lambda worker: worker not in self.dead,
            discard=self.discarded.append,
            clock=lambda: self.now,
        )

    async def take(
        self, name: str = "a", *, revision: str = "1", memory_mb: int = 256, wait_s: float = 5
    ) -> Slot[str]:
        wanted = spec(fqn=f"/guest/{name}", revision=revision, memory_mb=memory_mb)
        slot = await self.slots.acquire(wanted, claim_mb=memory_mb, wait_s=wait_s)
        if slot.worker is None:
            self.names += 1
            slot.worker = f"{name}{self.names}"
        return slot


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


def test_the_worker_used_last_serves_first() -> None:
    async def scenario() -> None:
        book = Book()
        first, second = await book.take(), await book.take()
        book.slots.release(first, keep=True)
        book.slots.release(second, keep=True)
        assert (await book.take()).worker == second.worker

    run(scenario())


def test_a_new_revision_retires_the_old_workers() -> None:
    async def scenario() -> None:
        book = Book()
        idle, busy = await book.take(), await book.take()
        book.slots.release(idle, keep=True)
        fresh = await book.take(revision="2")
        assert fresh.worker not in (idle.worker, busy.worker)
        assert book.discarded == [idle]
        book.slots.release(busy, keep=True)
        assert book.discarded == [idle, busy]

    run(scenario())


def test_a_dead_worker_is_replaced_without_notice() -> None:
    async def scenario() -> None:
        book = Book()
        slot = await book.take()
        book.slots.release(slot, keep=True)
        book.dead.add(str(slot.worker))
        assert (await book.take()).worker != slot.worker
        assert book.discarded == [slot]

    run(scenario())


def test_idle_workers_make_room_the_longest_unused_first() -> None:
    async def scenario() -> None:
        book = Book(memory_mb=512)
        a, b = await book.take("a"), await book.take("b")
        book.slots.release(b, keep=True)
        book.slots.release(a, keep=True)
        await book.take("c")
        assert book.discarded == [b]
        assert book.slots.claimed_mb == 512

    run(scenario())


def test_without_room_a_run_waits_for_its_own_kind_or_for_memory() -> None:
    async def scenario() -> None:
        book = Book(memory_mb=256)
        slot = await book.take("a")
        other = asyncio.create_task(book.take("b"))
        same = asyncio.create_task(book.take("a"))
        await asyncio.sleep(0)
        assert book.slots.waiting_count == 2
        book.slots.release(slot, keep=True)
        assert (await same).worker == slot.worker
        book.slots.release(slot, keep=False)
        assert str((await other).worker).startswith("b")

    run(scenario())


def test_waiting_is_bounded_in_number_and_time() -> None:
    async def scenario() -> None:
        book = Book(memory_mb=256, max_waiting=1)
        await book.take("a")
        waiting = asyncio.create_task(book.take("b", wait_s=0.01))
        await asyncio.sleep(0)
        with pytest.raises(NoRoom):
            await book.take("c")
        with pytest.raises(NoRoom):
            await waiting
        assert book.slots.waiting_count == 0

    run(scenario())


def test_an_action_larger_than_the_budget_runs_alone() -> None:
    async def scenario() -> None:
        book = Book(memory_mb=256)
        assert (await book.take("huge", memory_mb=512)).memory_mb == 512

    run(scenario())


def test_idle_for_long_is_reaped() -> None:
    async def scenario() -> None:
        book = Book()
        slot = await book.take()
        book.slots.release(slot, keep=True)
        book.now = 599
        book.slots.reap(older_than_s=600)
        assert book.slots.idle_count == 1
        book.now = 600
        book.slots.reap(older_than_s=600)
        assert book.discarded == [slot]
        assert book.slots.claimed_mb == 0

    run(scenario())


def test_a_forgotten_action_lets_go_of_idle_workers_now_and_of_busy_ones_when_they_come_back() -> None:
    async def scenario() -> None:
        book = Book()
        idle, busy, other = await book.take(), await book.take(), await book.take("b")
        book.slots.release(idle, keep=True)
        book.slots.release(other, keep=True)
        book.slots.forget("/guest/a")
        assert [slot.worker for slot in book.discarded] == [idle.worker]
        book.slots.release(busy, keep=True)
        assert [slot.worker for slot in book.discarded] == [idle.worker, busy.worker]
        assert (await book.take("b")).worker == other.worker
        assert book.slots.claimed_mb == 256

    run(scenario())


def test_namespaces_that_share_an_action_keep_their_own_workers() -> None:
    async def scenario() -> None:
        book = Book()
        slots = []
        for namespace in ("one", "two"):
            wanted = spec(fqn="/one/pkg/a", namespace=namespace, revision=f"{namespace}:1")
            slots.append(await book.slots.acquire(wanted, claim_mb=256, wait_s=1))
            slots[-1].worker = namespace
        for slot in slots:
            book.slots.release(slot, keep=True)
        assert (book.slots.idle_count, book.discarded) == (2, [])
        book.slots.forget("/one/pkg/a")
        assert len(book.discarded) == 2

    run(scenario())


class Traffic(RuleBasedStateMachine):
    """Any order of takes, returns and deaths keeps the books right."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.book = Book(memory_mb=1024, max_idle=3)
        self.busy: list[Slot[str]] = []

    @rule(
        name=st.sampled_from("abc"),
        revision=st.sampled_from("12"),
        memory_mb=st.sampled_from([128, 256, 512]),
    )
    def take(self, name: str, revision: str, memory_mb: int) -> None:
        try:
            taking = self.book.take(name, revision=revision, memory_mb=memory_mb, wait_s=0)
            self.busy.append(self.loop.run_until_complete(taking))
        except NoRoom:
            assert sum(slot.memory_mb for slot in self.busy) + memory_mb > 1024

    @rule(data=st.data(), keep=st.booleans())
    def give_back(self, data: st.DataObject, keep: bool) -> None:
        if self.busy:
            slot = self.busy.pop(data.draw(st.integers(0, len(self.busy) - 1)))
            self.book.slots.release(slot, keep=keep)

    @rule()
    def reap(self) -> None:
        self.book.now += 10
        self.book.slots.reap(older_than_s=15)

    @invariant()
    def claims_add_up(self) -> None:
        slots = self.book.slots
        assert slots.busy == set(self.busy)
        assert slots.claimed_mb <= 1024
        assert slots.claimed_mb >= sum(slot.memory_mb for slot in self.busy)
        assert slots.idle_count <= 3
        assert not set(self.busy) & set(self.book.discarded)
        if not self.busy and not slots.idle_count:
            assert slots.claimed_mb == 0

    def teardown(self) -> None:
        self.loop.close()


Traffic.TestCase.settings = settings(max_examples=examples(30), stateful_step_count=30, deadline=None)
TestTraffic = Traffic.TestCase
