"""What each counter means: the metric it is shown as, a sentence for people, and whether it tells of trouble.

A counter's name is `<part>.<what>`, some with a reason behind it. Two kinds are told apart. *Facts* are counted where a batch's
effect is kept, once however often it is delivered: none is counted twice, but an action that is killed between the two, or that does
not learn from Redis that the effect is kept, leaves them uncounted. *Deliveries* count what was tried, and a batch that comes again
counts again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

PREFIX = "hort_"
OTHER = "other"
FACT, DELIVERY = "fact", "delivery"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row: names that match `pattern` are the metric; its placeholders become labels beside the `fixed` ones."""

    pattern: str
    metric: str
    text: str
    trouble: bool = False
    counts: str = FACT
    fixed: Mapping[str, str] = field(default_factory=dict)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names in braces, in their order."""
        return tuple(re.findall(r"{(\w+)}", self.pattern))

    def labels(self, name: str) -> dict[str, str] | None:
        """The labels of a counter, None where it is another one's."""
        found = _compiled(self.pattern).fullmatch(name)
        return None if found is None else {**self.fixed, **found.groupdict()}


@dataclass(frozen=True, slots=True)
class Read:
    """A counter's name with what it means."""

    meaning: Meaning
    labels: Mapping[str, str]


def _said(pattern: str, metric: str, text: str, counts: str = FACT, **fixed: str) -> Meaning:
    return Meaning(pattern, metric, text, counts=counts, fixed=fixed)


def _trouble(pattern: str, metric: str, text: str, counts: str = FACT, **fixed: str) -> Meaning:
    return Meaning(pattern, metric, text, trouble=True, counts=counts, fixed=fixed)


FIELDS = "New fields of a batch that no schema took: stored, in no statistics"
LEFT_OUT = "Records that are stored but in no window"
RETRIES = "Things that were tried again"
CLOSES = "Runs of close that wrote nothing new"
OVER_LIMIT = "Devices that were too many: counted for their type only (folded), or not at all (dropped), a batch each"
POLLS = "Polls of the model registry"
GBFS = "Polls of the bike share"

TABLE: tuple[Meaning, ...] = (
    _said("ingest.messages", "messages", "Messages that came out of batches"),
    _said("ingest.records", "records", "Records decoded from messages"),
    _trouble("dead.{stage}.{reason}", "dead_letters", "Dead letters made, by the stage that could not go on"),
    _trouble("{stage}.payloads-cut", "payloads_cut", "Dead letters that hold only a part of their payload"),
    _trouble("ingest.repeats", "repeated_records", "Records dropped because their device sent the same number before"),
    _trouble("ingest.mismatch", "schema_conflicts", "Values that do not fit their field's kind: stored, in no statistics"),
    _trouble("ingest.fields-over", "fields_left_out", FIELDS, reason="schema-full"),
    _trouble("ingest.fields-unsettled", "fields_left_out", FIELDS, reason="unsettled"),
    _trouble("ingest.time-missing", "times_missing", "Records without the time field: stamped with their arrival"),
    _said("ingest.replayed", "replays", "Dead letters on their way once more", outcome="begun"),
    _said("sink.replayed", "replays", "Dead letters on their way once more", outcome="stored"),
    _trouble("{step}.skipped", "steps_skipped", "Batches stored without a step that never got through with them"),
    _trouble("{step}.split", "batches_split", "Batches cut into parts because a step did not get through with them"),
    _trouble("{action}.failed.{reason}", "action_failures", "Activations that ended with an error", DELIVERY),
    _said("window.records", "window_records", "Records that window took"),
    _trouble("window.late", "left_out", LEFT_OUT, reason="late"),
    _trouble("window.expired", "left_out", LEFT_OUT, reason="expired"),
    _trouble("window.ahead", "left_out", LEFT_OUT, reason="ahead"),
    _trouble("window.over-limit", "left_out", LEFT_OUT, reason="over-limit"),
    _trouble("window.devices-folded", "devices_over_limit", OVER_LIMIT, what="folded"),
    _trouble("window.devices-dropped", "devices_over_limit", OVER_LIMIT, what="dropped"),
    _said("close.windows", "windows", "Windows closed (again: written once more, for records that came late)", again="no"),
    _trouble("close.windows-again", "windows", "Windows closed (again: written once more, for records that came late)", again="yes"),
    _said("close.documents", "window_documents", "Analytics documents written"),
    _trouble("close.overflows", "overflows", "Statistics too large for a number: left out of their document"),
    _trouble("close.put-off", "windows_put_off", "Due windows left to the next tick because a run is bounded", DELIVERY),
    _trouble("close.panes-expired", "panes_expired", "Panes of records that went before their windows were closed: ticks were missing for too long"),
    _trouble("close.busy", "closes_without_work", CLOSES, DELIVERY, reason="busy"),
    _trouble("close.again", "closes_without_work", CLOSES, DELIVERY, reason="documents-wait"),
    _trouble("close.in-vain", "closes_without_work", CLOSES, DELIVERY, reason="other-was-first"),
    _said("close.forgotten", "devices_forgotten", "Devices forgotten because they sent nothing for long"),
    _said("alarms.{kind}", "alarms", "Alarms raised"),
    _said("score.batches", "scored_batches", "Batches scored"),
    _said("score.calls", "model_calls", "Calls of models", DELIVERY),
    _said("score.ok", "results", "Results of models, a record and model each", status="ok"),
    _trouble("score.error", "results", "Results of models, a record and model each", status="error"),
    _trouble("score.timeout", "results", "Results of models, a record and model each", status="timeout"),
    _trouble("score.open", "results", "Results of models, a record and model each", status="open"),
    _trouble("score.retries.{reason}", "retries", RETRIES, DELIVERY, part="score"),
    _trouble("breaker.opened", "breaker_changes", "Breakers of models that opened or closed", DELIVERY, to="open"),
    _said("breaker.closed", "breaker_changes", "Breakers of models that opened or closed", DELIVERY, to="closed"),
    _said("models.polled", "registry_polls", POLLS, outcome="ok"),
    _trouble("models.poll-failed", "registry_polls", POLLS, outcome="failed"),
    _trouble("models.refused", "models_refused", "Models of a registry's list that cannot be used, a poll each", DELIVERY),
    _said("divvy.polls", "gbfs_polls", GBFS),
    _trouble("divvy.poll-failed.{reason}", "gbfs_polls_failed", "Polls of the bike share that did not end well"),
    _said("divvy.unchanged", "gbfs_polls_unchanged", "Polls of the bike share that brought nothing new"),
    _trouble("divvy.busy", "gbfs_polls_busy", "Polls of the bike share left out because another one was running"),
    _trouble("divvy.malformed", "gbfs_malformed", "Stations left out of a document because they cannot be read"),
    _said("divvy.published", "gbfs_published", "Stations published to the broker"),
    _trouble("sink.dead", "documents_refused", "Documents that Elasticsearch refused and that became dead letters"),
    _trouble("sink.superseded", "documents_superseded", "Documents older than the stored ones: left as they were"),
    _trouble("sink.retried.{reason}", "retries", RETRIES, DELIVERY, part="sink"),
    _trouble("sink.unavailable", "batches_put_off", "Batches that came back later because Elasticsearch did not take them", DELIVERY),
    _trouble("sink.fields-unmapped", "fields_unmapped", "Names in a batch beyond those that Elasticsearch maps: stored, found by a runtime field only"),
    _said("sink.{index}", "stored", "Documents stored"),
    _trouble("journal.vanished", "lost", "Documents lost for good", reason="batch-vanished"),
    _trouble("plates.too-many", "photos_refused", "Photos from the page that were not read because too many came in a minute"),
    _trouble("quota.used-up.{kind}", "shares_used_up", "Minutes in which strangers used up their share: of reads of a page or the registry, or of photos"),
    _said("plates.{status}", "photos", "Reports stored, by what was read"),
    _trouble("feed.{what}.{reason}", "feed_trouble", "What a provider met, all feeds together; its own metrics say which"),
)
"""The first row that matches counts."""

_OTHER = Meaning("{counter}", OTHER, "Counters that no other metric shows", counts=DELIVERY)


@lru_cache(maxsize=2_000)
def read(name: str) -> Read:
    """What a counter means; one that has no row is shown under its own name."""
    for meaning in TABLE:
        labels = meaning.labels(name)
        if labels is not None:
            return Read(meaning, labels)
    return Read(_OTHER, {"counter": name})


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """A placeholder takes one part of the name, the last one all the rest."""
    parts = re.split(r"({\w+})", pattern)
    texts = [f"(?P<{part[1:-1]}>[^.]+)" if part.startswith("{") else re.escape(part) for part in parts]
    if pattern.endswith("}"):
        texts[-2] = texts[-2].replace("[^.]+", ".+")
    return re.compile("".join(texts), re.DOTALL)
