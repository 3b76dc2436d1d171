"""One campaign from begin to end: the stream starts, faults come and go, everything heals, the oracle judges."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import ApiError, Elasticsearch, TransportError

from campaign import oracle
from campaign.devices import Devices
from campaign.faults import KINDS
from campaign.oracle import Model, Rules, Verdict
from campaign.plan import Planned
from campaign.progress import Progress
from campaign.report import Injected, Report
from campaign.runner import Runner
from campaign.stage import MODEL, Stage
from campaign.watch import Watch
from lib.stack.process import resident_bytes

WARM_UP_S = 10.0
PUBLISHED_S = 180.0
STORED_S = 600.0
QUIET_S = 5.0
JUDGE_AGAIN_S = 15.0
JUDGE_FOR_S = 240.0
SLIDE_MS = 15_000
SLACK_MS = 5_000


@dataclass(slots=True, kw_only=True)
class Session:
    """What a campaign is made of."""

    stage: Stage
    devices: Devices
    watch: Watch
    seed: int
    seconds: float
    largest: Counter[str] = field(default_factory=Counter)
    """Most memory that was seen of each part, bytes."""

    def run(self, plan: Sequence[Planned]) -> Report:
        """The whole campaign."""
        registered_ms = int(time.time() * 1000)
        self.devices.start()
        progress = Progress(WARM_UP_S + self.seconds, self._state)
        runner = Runner(self.stage, progress.say)
        time.sleep(WARM_UP_S)
        began_s = time.time()
        runner.run(plan, seconds=self.seconds)
        self.stage.heal()
        runner.revive()
        progress.say("no more faults; waiting for what is under way")
        problems = self._settle()
        stopped_ms = int(time.time() * 1000) if problems else self._stopped_ms
        progress.say("comparing with what was published")
        verdict = self._judge(stopped_ms, registered_ms, progress.say)
        progress.close()
        problems += [f"{done.planned.kind}: {done.failed}" for done in runner.done if done.failed]
        return Report(
            seed=self.seed,
            seconds=time.time() - began_s,
            injected=self._injected(runner),
            verdict=verdict,
            problems=problems + runner.crashes,
            facts=self._facts(runner),
        )

    @property
    def _stopped_ms(self) -> int:
        """Event time of the last record that came at its time."""
        return max(int(record.handed_at * 1000) for record in self.devices.stream().published)

    def _state(self) -> str:
        for name, part in self.stage.parts.items():
            if pid := part.pid:
                self.largest[name] = max(self.largest[name], resident_bytes(pid))
        handed = sum(counts["handed"] for counts in self.devices.counts().values())
        newest = self.watch.newest_s
        behind = f"{time.time() - newest:.1f} s behind" if newest else "nothing stored yet"
        return f"{handed} records published, {behind}"

    def _settle(self) -> list[str]:
        """Waits until everything published is stored; what was in the way of it."""
        for at_s in self.stage.broker_deaths:
            self.devices.broker_killed(at_s)
        problems = []
        if not self.devices.finish(PUBLISHED_S):
            problems.append(f"the broker did not take everything within {PUBLISHED_S:g} s")
        if not _until(self._nothing_under_way, STORED_S):
            problems.append(f"batches were still in the journal {STORED_S:g} s after the last fault")
        return problems

    def _nothing_under_way(self) -> bool:
        quiet = time.monotonic() + QUIET_S
        while time.monotonic() < quiet:
            if self.stage.batches.journalled() != 0:
                return False
            time.sleep(0.2)
        return True

    def _judge(self, stopped_ms: int, registered_ms: int, say: Callable[[str], None]) -> Verdict:
        """Judges again for a while where something is missing: windows close by the clock, later than their records."""
        jump_ms = math.ceil(max((abs(jump) for jump in self.stage.jumps), default=0.0) * 1000)
        rules = Rules(clock_slack_ms=SLACK_MS + jump_ms, closed_until_ms=stopped_ms - stopped_ms % SLIDE_MS)
        stream, models = self.devices.stream(), [Model(name=MODEL, since_ms=registered_ms)]
        deadline = time.monotonic() + JUDGE_FOR_S
        with Elasticsearch(self.stage.elasticsearch_url, request_timeout=60) as client:
            while True:
                try:
                    verdict = oracle.judge(stream, oracle.stored_in(client), rules, models=models)
                    if verdict.ok or time.monotonic() > deadline:
                        return verdict
                    say(f"not yet: {', '.join(f'{len(found)} {kind}' for kind, found in verdict.findings.items() if found)}")
                except (ApiError, TransportError):
                    if time.monotonic() > deadline:
                        raise
                time.sleep(JUDGE_AGAIN_S)

    def _injected(self, runner: Runner) -> list[Injected]:
        return [
            Injected(
                kind=done.planned.kind,
                at_s=done.began_s,
                lasted_s=done.ended_s - done.began_s,
                recovered_s=self.watch.recovered_s(done.ended_s),
                note=done.note,
            )
            for done in runner.done
            if not done.impossible and not done.failed
        ]

    def _facts(self, runner: Runner) -> dict[str, Any]:
        skipped = Counter(done.planned.kind for done in runner.done if done.impossible)
        missing = sorted(KINDS.keys() - {done.planned.kind for done in runner.done if not done.impossible})
        again = sum(counts["again"] for counts in self.devices.counts().values())
        facts: dict[str, Any] = {"sent again by devices": again}
        facts |= {f"{name}, most memory MB": round(size / 1e6) for name, size in sorted(self.largest.items())}
        facts |= {f"Elasticsearch's answers: {what}": count for what, count in sorted(self.stage.elasticsearch.counts.items())}
        facts |= {f"not possible: {kind}": count for kind, count in sorted(skipped.items())}
        if missing:
            facts["kinds without a fault"] = ", ".join(missing)
        return facts


def _until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True
