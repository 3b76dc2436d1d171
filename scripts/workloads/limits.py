"""What broker, Redis and Elasticsearch can do by themselves here, measured in the same run as the suite."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from typing import Any

import msgpack
import orjson
import paho.mqtt.client as mqtt
import redis
from elasticsearch import Elasticsearch
from paho.mqtt.enums import CallbackAPIVersion

MESSAGES = 60_000
DOCUMENTS = 100_000
BULK = 5_000
BATCH_RECORDS = 10_000


def broker(url: str) -> dict[str, float]:
    """Messages a second, publisher to broker and broker to one subscriber (paho, QoS 1, nothing done with them)."""
    count = 0
    last = 0.0

    def on_message(_client: mqtt.Client, _data: object, _message: mqtt.MQTTMessage) -> None:
        nonlocal count, last
        count += 1
        last = time.monotonic()

    host, _, port = url.removeprefix("mqtt://").partition(":")
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"bench-{uuid.uuid4().hex[:8]}")
    client.on_message = on_message
    client.connect(host, int(port or 1883))
    client.subscribe("iot-2/type/bench/#", qos=1)
    client.loop_start()
    time.sleep(0.5)
    began = time.monotonic()
    command = [sys.executable, "-m", "workloads.publisher", "--url", url, "--rate", "1000000", "--seconds", str(MESSAGES / 1e6)]
    sent = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    while count < sent["sent"] and time.monotonic() - began < 60:
        time.sleep(0.05)
    client.disconnect()
    client.loop_stop()
    return {"messages_per_s": count / (last - began), "messages": count, "publisher_cpu_s_per_million": 1e6 * sent["cpu_s"] / sent["sent"]}


def store(url: str) -> dict[str, float]:
    """Records a second when Redis only keeps and gives back packed batches, appended to its log."""
    client = redis.Redis.from_url(url)
    payload = b"x" * 279
    batch = msgpack.packb({"payloads": [payload] * BATCH_RECORDS})
    rounds = 30
    began = time.monotonic()
    for number in range(rounds):
        client.set(f"bench:{number}", batch)
        client.get(f"bench:{number}")
    elapsed = time.monotonic() - began
    client.delete(*(f"bench:{number}" for number in range(rounds)))
    return {"records_per_s": rounds * BATCH_RECORDS / elapsed, "megabytes_per_s": rounds * len(batch) * 2 / elapsed / 1e6}


def index(url: str) -> dict[str, float]:
    """Documents a second that Elasticsearch takes by bulk requests of 5,000 from one client, ids given, refresh 1 s."""
    client = Elasticsearch(url, request_timeout=60)
    name = f"bench-{uuid.uuid4().hex[:8]}"
    client.indices.create(index=name, settings={"number_of_replicas": 0, "refresh_interval": "1s"})
    lines: list[Any] = []
    for number in range(DOCUMENTS):
        lines.append(orjson.dumps({"index": {"_id": f"b-{number}"}}))
        lines.append(orjson.dumps({"device_id": str(number % 600), "event": "status", "data": {"bikes": number % 23, "seq": number}}))
    bodies = [b"\n".join(lines[start : start + 2 * BULK]) + b"\n" for start in range(0, len(lines), 2 * BULK)]
    began = time.monotonic()
    for body in bodies:
        client.bulk(index=name, operations=body, filter_path="errors")  # type: ignore[arg-type]  # bytes are sent as they are
    elapsed = time.monotonic() - began
    client.indices.delete(index=name)
    return {"documents_per_s": DOCUMENTS / elapsed}
