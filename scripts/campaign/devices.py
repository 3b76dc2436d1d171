"""Devices that publish the known stream through broker kills, stalls and resets, and remember what the broker took."""

from __future__ import annotations

import gzip
import heapq
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from campaign.stream import NUMBERED, QOS, Kill, Outage, Published, Stream, draw, topic

TICK_S = 0.02
KEEPALIVE_S = 10
MAX_QUEUED = 20_000
"""Messages of a group that wait for the broker: paho sends all of them when it is back, and the broker takes 30,000 at once."""
MAX_INFLIGHT = 200
MAX_BEHIND_S = 1.0
"""What a group could not publish in time is made up for so long; the rest is never made."""
REMEMBERED_S = 30.0
"""What was acknowledged to the numbered devices so lately they send again after a lost connection: the broker may not have saved it."""
TWICE_WITHIN_S = 20
NAP_S = (150, 300)
"""The last device of each group publishes this long of each period, so that it falls silent and returns."""
CONNECT_TIMEOUT_S = 30.0


class Devices:
    """Four groups of devices at `rate` records a second together.

    Args:
        url: mqtt://host:port of the broker, or of a proxy before it.
        seed: what the values are drawn from.
        rate: records a second of all groups.
        devices: devices of each group.
    """

    def __init__(self, url: str, *, seed: int, rate: float, devices: int = 12) -> None:
        self._seed = seed
        self._groups = [
            Group(url, name, seed=seed, rate=rate / len(QOS), devices=devices) for name in QOS
        ]
        self._kills: list[Kill] = []

    def start(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Connects and begins to publish; TimeoutError where the broker is not there."""
        for group in self._groups:
            group.connect()
        for group in self._groups:
            group.start(timeout_s)

    def broker_killed(self, at_s: float, *, frozen_since_s: float | None = None) -> None:
        """Notes a kill -9 of the broker (seconds since the epoch), and since when it stood still where it did."""
        self._kills.append(Kill(at_s, frozen_since_s))

    def stop(self) -> None:
        """No new records; what is under way and what is to be sent again goes on."""
        for group in self._groups:
            group.stop()

    def finish(self, timeout_s: float) -> bool:
        """Stops, waits until the broker has everything and ends the connections; False where something is left."""
        self.stop()
        deadline = time.monotonic() + timeout_s
        left = [group.name for group in self._groups if not group.finish(deadline)]
        self.close()
        return not left

    def close(self) -> None:
        """Ends threads and connections, whatever is left."""
        for group in self._groups:
            group.close()

    def counts(self) -> dict[str, dict[str, int]]:
        """Of each group: records `handed` over, `done` and `waiting`, messages sent `again`, `outages`."""
        return {group.name: group.counts() for group in self._groups}

    def stream(self) -> Stream:
        """What was published until now."""
        return Stream(
            seed=self._seed,
            published=[record for group in self._groups for record in list(group.published)],
            kills=tuple(self._kills),
            outages={group.name: tuple(group.outages()) for group in self._groups},
        )

    def save(self, path: Path) -> None:
        """Writes what was published, a JSON line a record, gzipped."""
        with gzip.open(path, "wt", encoding="utf-8") as file:
            for record in self.stream().published:
                file.write(json.dumps(asdict(record)) + "\n")


class Group:
    """One group with an MQTT session of its own.

    Its thread alone touches its state: paho's callbacks put what happened into a queue, since paho may call them before
    `publish` has returned the packet id, and holds a lock of its own meanwhile.
    """

    def __init__(self, url: str, name: str, *, seed: int, rate: float, devices: int) -> None:
        self.name = name
        self.published: list[Published] = []
        self._qos = QOS[name]
        self._seed = seed
        self._rate = rate
        self._devices = [f"{name[0]}{number:02d}" for number in range(devices)]
        self._next_seq = dict.fromkeys(self._devices, 0)
        self._turn = 0
        self._waiting: dict[int, Published] = {}
        self._again: deque[Published] = deque()
        self._twice: list[tuple[float, int, Published]] = []
        self._recent: deque[tuple[float, Published]] = deque()
        self._done = 0
        self._sent_again = 0
        self._last_done_s = 0.0
        self._lost_s: float | None = None
        self._outages: list[Outage] = []
        self._happened: SimpleQueue[tuple[str, int, float]] = SimpleQueue()
        self._connected = threading.Event()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"devices-{name}", daemon=True)
        self._url = urlsplit(url)
        self._client = self._new_client()

    # -- life ------------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Begins to connect."""
        self._client.connect_async(self._url.hostname or "127.0.0.1", self._url.port or 1883, KEEPALIVE_S)
        self._client.loop_start()

    def start(self, timeout_s: float) -> None:
        """Waits for the connection and begins to publish."""
        if not self._connected.wait(timeout_s):
            raise TimeoutError(f"devices {self.name}: no connection to the broker within {timeout_s:g} s")
        self._thread.start()

    def stop(self) -> None:
        """No new records."""
        self._stopping.set()

    def finish(self, deadline: float) -> bool:
        """Waits until everything is acknowledged; False where something is left."""
        self._idle.wait(max(0.0, deadline - time.monotonic()))
        return self._idle.is_set()

    def close(self) -> None:
        """Ends the thread and the connection."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def counts(self) -> dict[str, int]:
        """How far it is."""
        return {
            "handed": len(self.published),
            "done": self._done,
            "waiting": len(self._waiting),
            "again": self._sent_again,
            "outages": len(self._outages) + (self._lost_s is not None),
        }

    def outages(self) -> Iterator[Outage]:
        """When there was no connection."""
        yield from list(self._outages)
        lost = self._lost_s
        if lost is not None:
            yield Outage(lost, None)

    def _new_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"campaign-{self.name}-{uuid.uuid4().hex[:12]}",
            clean_session=False,
        )
        client.max_queued_messages_set(MAX_QUEUED)
        client.max_inflight_messages_set(MAX_INFLIGHT)
        client.reconnect_delay_set(min_delay=1, max_delay=2)
        client.on_connect = self._on_connect
        client.on_disconnect = lambda *_: self._happened.put(("lost", 0, time.time()))
        client.on_publish = lambda _client, _data, mid, *_: self._happened.put(("done", mid, time.time()))
        return client

    def _on_connect(self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, *_: object) -> None:
        if not reason.is_failure:
            self._connected.set()
            self._happened.put(("back", 0, time.time()))

    # -- its thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        due, before = 0.0, time.monotonic()
        while not self._ended.wait(TICK_S):
            self._note()
            self._send_again()
            now = time.monotonic()
            due, before = min(due + self._rate * (now - before), max(1.0, self._rate * MAX_BEHIND_S)), now
            if self._stopping.is_set():
                left = self._waiting or self._again or self._twice
                (self._idle.clear if left else self._idle.set)()
                continue
            while due >= 1 and self._send_new():
                due -= 1

    def _note(self) -> None:
        """Works off what paho reported, in its order."""
        while True:
            try:
                what, mid, at = self._happened.get_nowait()
            except Empty:
                return
            if what == "done":
                self._acknowledged(mid, at)
            elif what == "lost":
                self._lost(at)
            else:
                self._back(at)

    def _acknowledged(self, mid: int, at: float) -> None:
        record = self._waiting.pop(mid, None)
        self._last_done_s = at
        if record is not None:
            self._recent.append((at, record))
            if record.done_at is None:
                record.done_at = at
                self._done += 1
        while self._recent and self._recent[0][0] < at - REMEMBERED_S:
            self._recent.popleft()

    def _lost(self, at: float) -> None:
        for record in self._waiting.values():
            record.interrupted |= record.handed_at <= at
        if not self._qos:
            self._waiting.clear()
        if self._lost_s is None:
            self._lost_s = at

    def _back(self, at: float) -> None:
        lost, self._lost_s = self._lost_s, None
        if lost is None:
            return
        self._outages.append(Outage(lost, at))
        for record in self._waiting.values():
            if record.handed_at > lost:
                record.started_at = at
        if self.name == NUMBERED:
            since = min(lost, self._last_done_s) - REMEMBERED_S
            known = {id(record) for record in self._again}
            for acked, record in self._recent:
                if since <= acked <= lost and id(record) not in known:
                    known.add(id(record))
                    self._again.append(record)

    def _send_again(self) -> None:
        now = time.monotonic()
        while self._twice and (self._twice[0][0] <= now or self._stopping.is_set()):
            self._again.append(heapq.heappop(self._twice)[2])
        while self._again and self._hand(self._again[0]):
            self._again.popleft().copies += 1
            self._sent_again += 1

    def _send_new(self) -> bool:
        """Makes the next record; False where the client takes no more, the record is made later then."""
        device = self._next_device()
        seq, now = self._next_seq[device], time.time()
        drawn = draw(self._seed, self.name, device, seq)
        record = Published(
            group=self.name,
            device=device,
            seq=seq,
            time_ms=int((now - drawn.late_s) * 1000),
            value=drawn.value,
            level=drawn.level,
            handed_at=now,
            started_at=now,
        )
        if not self._hand(record):
            return False
        self.published.append(record)
        self._next_seq[device] += 1
        self._turn += 1
        if drawn.twice:
            delay = seq * 7919 % TWICE_WITHIN_S
            heapq.heappush(self._twice, (time.monotonic() + delay, len(self.published), record))
        return True

    def _next_device(self) -> str:
        awake = len(self._devices)
        published_s, period_s = NAP_S
        if awake > 1 and time.monotonic() % period_s >= published_s:
            awake -= 1
        return self._devices[self._turn % awake]

    def _hand(self, record: Published) -> bool:
        """Gives a message to paho; False where its queue is full. What is QoS 0 is gone where there is no connection."""
        info = self._client.publish(topic(self.name, record.device), record.payload(), qos=self._qos)
        if info.rc == mqtt.MQTT_ERR_QUEUE_SIZE:
            return False
        if self._qos or info.rc == mqtt.MQTT_ERR_SUCCESS:
            self._waiting[info.mid] = record
        return True
