"""What is not as it should be, from the counters: one row a counter that tells of trouble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hort import meanings

Panel = dict[str, Any]
MAX_ROWS = 200
MAX_REASON = 200
FEED_TEXTS = {
    "duplicate": "Messages that the broker repeated: recognised, not taken twice",
    "mqtt-lost": "Connections to a broker that broke, or could not be made",
    "journal-full": "Times a feed's journal became full, and the broker had to wait",
    "fire": "Fires that OpenWhisk did not take: the batch is kept (204: no active rule)",
    "fired-again": "Fires of batches that were fired before",
    "not-started": "Fires of which a rule could not start its action",
    "unverified": "Batches given up on because the trigger's activation could not be read",
    "cut": "Messages that an inline fire carries as an error in their place",
    "disabled": "Times a provider switched a feed off, by OpenWhisk's answer",
    "dropped": "Batches and spooled pieces dropped with a deleted feed",
    "lease-lost": "Feeds that another provider took over",
    "session-given-up": "MQTT sessions ended by a changed feed, with what waited in them",
    "error": "Failures that a provider survived, by part",
    "request-refused": "Requests that a provider refused, by status",
    "alarm-fire": "Fires of alarms that OpenWhisk did not take",
    "alarm-missed": "Ticks of alarms that were skipped",
    "alarm-disabled": "Alarms that ended or were switched off",
}


def rows(counters: Mapping[str, int], last: Mapping[str, int]) -> list[Panel]:
    """`name`, `text`, `reason`, `count` and `last` (ms, None where it is not known), what happened last first."""
    found = [_row(name, count, last.get(name)) for name, count in counters.items() if count and _tells(name)]
    return sorted(found, key=lambda row: (-(row["last"] or 0), row["name"]))[:MAX_ROWS]


def _tells(name: str) -> bool:
    return meanings.read(name).meaning.trouble


def _row(name: str, count: int, last: int | None) -> Panel:
    found = meanings.read(name)
    labels = dict(found.labels)
    text = found.meaning.text
    if found.meaning.metric == "feed_trouble":
        text = FEED_TEXTS.get(labels.pop("what"), text)
    return {"name": name, "text": text, "reason": ", ".join(labels.values())[:MAX_REASON], "count": count, "last": last}
