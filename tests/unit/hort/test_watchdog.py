"""The limit on an action's own work."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import ITIMER_PROF, ITIMER_REAL, SIGALRM, SIGPROF, Signals, getitimer, setitimer

import pytest
from elastic_transport import ConnectionTimeout

from hort import elastic, store, watchdog
from hort.bulk_writer import BulkWriter
from hort.document_store import StoreBusy
from hort.errors import SinkUnavailable
from hort.testing import MemoryDocuments

ACTIONS = Path(watchdog.__file__).parents[1]
SPIN = "while True: pass"
IN_C = "re.match('(a*)*b', 'a' * 99)"
LOCKED = "threading.Lock().acquire() and threading.Event().wait()"


@pytest.fixture(autouse=True)
def activation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("__OW_DEADLINE", "1")
    before, _ = setitimer(ITIMER_REAL, 0)  # the test's own limit
    yield
    after, _ = setitimer(ITIMER_REAL, before)
    assert after == getitimer(ITIMER_PROF)[0] == 0, "nothing is limited any more"


def left_s() -> float:
    return getitimer(ITIMER_REAL)[0]


IN_PARTS = f"watchdog.restart(0.01)\n    {SPIN}"
ENDED_BY = {SPIN: SIGPROF, IN_C: SIGPROF, IN_PARTS: SIGPROF, LOCKED: SIGALRM, "time.sleep(60)": SIGALRM}


@pytest.mark.parametrize(("how", "by"), ENDED_BY.items())
def test_what_hangs_is_ended(how: str, by: Signals) -> None:
    """By processor time where it uses any: the clock alone, at 50 s, would not be in time for this test."""
    clock = 1000 if by == SIGPROF else 1
    program = f"import re, threading, time\nfrom hort import watchdog\nwatchdog.LIMIT_S, watchdog.CLOCK = 0.05, {clock}\nwith watchdog.watched():\n    {how}"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ACTIONS, timeout=60, check=False)
    assert ended.returncode == -by


def test_work_for_which_there_is_little_of_a_processor_is_not_ended_as_if_it_hung() -> None:
    """An action of 128 MB has a small share: a batch of two seconds' work may take twenty by the clock."""
    with watchdog.watched():
        assert getitimer(ITIMER_PROF)[0] == pytest.approx(watchdog.LIMIT_S, abs=1)
        assert left_s() > watchdog.LIMIT_S
        watchdog.restart(watchdog.PART_S, waits_s=100)
        assert getitimer(ITIMER_PROF)[0] > 100
        assert left_s() > 100 + watchdog.PART_S


def test_what_cannot_be_cut_has_as_long_by_the_clock_as_openwhisk_gives_it() -> None:
    with watchdog.watched():
        watchdog.restart(alone=True)
        assert getitimer(ITIMER_PROF)[0] == pytest.approx(watchdog.LIMIT_S, abs=1)
        assert left_s() > watchdog.ALONE_S - 1


def test_nothing_is_ended_outside_of_openwhisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("__OW_DEADLINE")
    with watchdog.watched():
        assert left_s() == 0
        watchdog.restart()
        assert left_s() == 0


def test_waits_do_not_count_also_within_waits_and_when_they_fail() -> None:
    with watchdog.watched():
        watchdog.restart(500)
        with contextlib.suppress(KeyError), watchdog.waiting():
            with watchdog.waiting():
                assert left_s() == 0
            watchdog.restart()
            assert left_s() == 0, "a wait has no limit"
            raise KeyError
        assert 0 < left_s() <= 500 * watchdog.CLOCK
        watchdog.restart()
        assert 0 < left_s() <= watchdog.LIMIT_S * watchdog.CLOCK


def test_redis_elasticsearch_and_pauses_are_waits() -> None:
    seen: list[float] = []

    def ask() -> None:
        seen.append(left_s())
        raise ConnectionTimeout("slow")

    with watchdog.watched():
        redis_waits = store.client("redis://127.0.0.1:1").get_retry()
        assert redis_waits is not None
        with pytest.raises(ConnectionTimeout):
            redis_waits.call_with_retry(ask, lambda _: None)
        with pytest.raises(StoreBusy):
            elastic._carried_out(ask)  # type: ignore[arg-type]
        documents = MemoryDocuments()
        documents.failures = [StoreBusy("HTTP 503") for _ in range(5)]
        with pytest.raises(SinkUnavailable):
            BulkWriter(documents, time_s=45, pause=lambda _: seen.append(left_s())).write("i", [(b'{"index":{"_id":"1"}}', b"{}")])
        assert left_s() > 0
    assert seen == [0] * 6
