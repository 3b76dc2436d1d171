"""The known stream: what each group of devices publishes, as functions of a seed, and what became of it at the broker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NUMBERED, PLAIN, LEAST, FLEETING = "numbered", "plain", "least", "fleeting"
QOS = {NUMBERED: 1, PLAIN: 2, LEAST: 1, FLEETING: 0}
"""Group -> QoS from device to broker; a group's name is its device type."""
EVENT = "status"
LATE_S = (20, 200)
"""How far in the past the event times of late records lie."""
TOO_LATE_S = (400, 460)
"""Past the default allowed lateness (300 s after the end of a record's last window, 45 s long)."""
FIRST_NUMBER = 1_000_000
"""Numbers of the numbered group are not its sequence numbers, so that a mix-up shows."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the seed says of one record."""

    value: float
    level: int
    late_s: int
    twice: bool


def draw(seed: int, group: str, device: str, seq: int) -> Drawn:
    """The values of a record; of the numbered group 2 % are late, 0.2 % too late and 2 % are sent twice."""
    digest = hashlib.blake2b(f"{seed}/{group}/{device}/{seq}".encode(), digest_size=20).digest()
    value, level, lot, delay, again = (int.from_bytes(digest[at : at + 4]) for at in range(0, 20, 4))
    late_s = 0
    if group == NUMBERED and lot % 1_000 < 22:
        low, high = LATE_S if lot % 1_000 < 20 else TOO_LATE_S
        late_s = low + delay % (high - low)
    twice = group == NUMBERED and again % 50 == 0
    return Drawn(value % 200_001 / 1_000 - 50, level % 101, late_s, twice)


def topic(group: str, device: str) -> str:
    """Where a device publishes."""
    return f"iot-2/type/{group}/id/{device}/evt/{EVENT}/fmt/json"


def prediction(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the campaign's model answers for a record's data."""
    return {"score": round(data["value"] * 3 + data["seq"], 6), "seq": data["seq"]}


@dataclass(slots=True, kw_only=True)
class Published:
    """One record that was handed to the MQTT client.

    Args:
        time_ms: its event time.
        handed_at: seconds since the epoch, first time.
        started_at: when it can have been sent first: `handed_at`, or the reconnect where there was no connection then.
        done_at: when the broker had acknowledged it whole, None where it never did; QoS 0: when it left.
        interrupted: whether a connection was lost between the two.
        copies: how often it was handed over.
    """

    group: str
    device: str
    seq: int
    time_ms: int
    value: float
    level: int
    handed_at: float
    started_at: float
    done_at: float | None = None
    interrupted: bool = False
    copies: int = 1

    @property
    def values(self) -> dict[str, Any]:
        """The payload."""
        values = {"seq": self.seq, "time": self.time_ms, "value": self.value, "level": self.level}
        if self.group == NUMBERED:
            return {"number": FIRST_NUMBER + self.seq, **values}
        return values

    @property
    def topic(self) -> str:
        """Where it was published."""
        return topic(self.group, self.device)

    def payload(self) -> bytes:
        """Its bytes on the wire."""
        return json.dumps(self.values).encode()


@dataclass(frozen=True, slots=True)
class Outage:
    """A group had no connection from `lost_s` to `back_s` (seconds since the epoch; None: not back yet)."""

    lost_s: float
    back_s: float | None


@dataclass(frozen=True, slots=True)
class Kill:
    """The broker was killed with -9; `frozen_since_s` where it stood still (SIGSTOP) before and could not save."""

    at_s: float
    frozen_since_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """All that was published, and when the broker was killed and each group was cut off."""

    seed: int
    published: Sequence[Published]
    kills: Sequence[Kill] = ()
    outages: Mapping[str, Sequence[Outage]] = field(default_factory=dict)
