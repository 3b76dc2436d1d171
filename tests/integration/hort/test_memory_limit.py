"""Batches of nasty shapes through the real zips: no action takes more than its memory of the manifest, with the runtime's proxy beside it."""

import base64
import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
import yaml

from hort import batch, keys
from hort.batch import Message
from hort.journal import RedisJournal
from localwhisk.runtimes.memory import descendants
from tests.support.engine import Engine
from tests.support.paths import ROOT

ACTIONS = ("ingest", "window", "score", "sink", "close")
MEMORY = {name: action["limits"]["memorySize"] for name, action in yaml.safe_load((ROOT / "manifest.yaml").read_text())["packages"]["hort"]["actions"].items()}
PROXY_MB = {"ingest": 17, "window": 70, "score": 17, "sink": 26, "close": 70}
"""What the runtime's proxy holds after /init (openwhisk-runtime-go 1.25, measured): five times the zip, for two minutes."""
JOURNAL = keys.journal(0, "aaaa")
NAMES = [f"{letter}{number:x}" for number in range(12) for letter in "abcdefghijklmnopqrstuv"][:250]


@pytest.fixture
def deployed(zips: Path, new_whisk: Callable[..., Engine], redis_client: redis.Redis, redis_url: str, elasticsearch_url: str) -> Engine:
    assert redis_client.ping()
    whisk = new_whisk()
    params = {"redis_url": redis_url, "elasticsearch_url": elasticsearch_url, "device_id_field": "id", "device_type_field": "type", "window_s": 15, "slide_s": 15}
    for name in ACTIONS:
        code = base64.b64encode((zips / f"{name}.zip").read_bytes()).decode()
        body = {
            "exec": {"kind": "python:3.11", "code": code, "binary": True},
            "limits": {"memory": MEMORY[name], "timeout": 300_000},
            "parameters": [{"key": key, "value": value} for key, value in params.items()],
        }
        status, answer = whisk.call("PUT", f"actions/{name}?overwrite=true", body)
        assert status == 200, answer
    return whisk


def record(number: int, fields: list[str], device_type: str = "t") -> bytes:
    return b'{"type":"%b","id":"%d",%b}' % (device_type.encode(), number, b",".join(b'"%b":%d' % (name.encode(), number % 10) for name in fields))


def arrays(records: Iterator[bytes], each: int) -> Iterator[bytes]:
    """Compressed arrays of so many records."""
    rows = list(records)
    for first in range(0, len(rows), each):
        yield gzip.compress(b"[%b]" % b",".join(rows[first : first + each]), 1)


def long_texts() -> Iterator[bytes]:
    """33 MB of documents, which compress to next to nothing."""
    yield from arrays((b'{"type":"t","id":"%d","x":1,"text":"%b"}' % (number, b"t" * 8_000) for number in range(4_000)), 100)


def plain_ones() -> Iterator[bytes]:
    """More records than a batch of the default size."""
    fields = [f"number_{number}" for number in range(9)]
    return (record(number % 600, fields)[:-1] + b',"name":"Station %d at the lake, in the shade"}' % number for number in range(35_000))


def one_wide_among_narrow() -> Iterator[bytes]:
    """As a table of all records by all fields: 20,000 x 251."""
    yield from (record(number, ["x"]) for number in range(20_000))
    yield record(20_000, NAMES)


def many_devices_by_many_fields() -> Iterator[bytes]:
    """1.4 million numbers, compressed; a group each."""
    yield from arrays((record(number, NAMES) for number in range(5_600)), 400)


def names_of_their_own() -> Iterator[bytes]:
    """Each record brings 100 fields that no other one has."""
    return arrays((record(number, [f"f{number:x}_{place}" for place in range(100)], f"t{number % 50}") for number in range(4_000)), 500)


@pytest.mark.slow(40)
@pytest.mark.parametrize("shape", [one_wide_among_narrow, many_devices_by_many_fields, names_of_their_own, long_texts, plain_ones])
def test_no_shape_of_a_batch_takes_an_action_beyond_its_memory(
    shape: Callable[[], Iterator[bytes]], deployed: Engine, redis_client: redis.Redis
) -> None:
    journal, now = RedisJournal(redis_client), time.time_ns() // 1_000_000
    messages = [Message("iot-2/type/t/id/d/evt/e/fmt/json", content, now - 60_000) for content in shape()]
    reference = batch.Reference(f"aaaa-0-{now:012x}00000000", JOURNAL)
    journal.put(reference, batch.pack(batch.Messages.of(messages)), trigger="/_/t", count=len(messages), now=now - 60_000)

    records = sum(delivered(deployed, journal, found) for found in waiting(journal, now))
    documents = closed(deployed, journal)

    wanted = {
        one_wide_among_narrow: (20_001, 20_002), many_devices_by_many_fields: (5_600, 5_601), names_of_their_own: (4_000, 4_050), long_texts: (4_000, 4_001), plain_ones: (35_000, 601),
    }
    assert (records, documents) == wanted[shape]
    most = peaks(deployed)
    assert most.keys() == set(ACTIONS)
    assert {name: mb for name, mb in most.items() if mb + PROXY_MB[name] > MEMORY[name]} == {}


def peaks(whisk: Engine) -> dict[str, float]:
    """Megabytes that each action's process held at most."""
    found: dict[str, float] = {}
    for pid in descendants(whisk.pid):
        main = Path(f"/proc/{pid}/cwd/main__.py")
        if main.is_file():
            name = main.read_text().split("`")[1]
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            found[name] = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    return found


def waiting(journal: RedisJournal, now: int) -> Iterator[batch.Reference]:
    """Whatever is due, batches that others were cut into, too."""
    while due := journal.due(JOURNAL, now=now + 3_600_000, limit=1):
        yield due[0].reference


def delivered(whisk: Engine, journal: RedisJournal, reference: batch.Reference) -> int:
    """The records of a batch that goes through ingest, window and score; 0 where it was cut."""
    answer = invoke(whisk, "ingest", reference.as_result())
    if answer.get("acked"):
        return 0
    assert answer["dead"] == 0
    for name in ("window", "score", "sink"):
        assert "error" not in invoke(whisk, name, reference.as_result())
    return int(answer["records"])


def closed(whisk: Engine, journal: RedisJournal) -> int:
    """The documents of the one window there is, after it is closed."""
    seen: dict[str, int] = {}
    while not (answer := invoke(whisk, "close", {})).get("acked"):
        due = journal.due(answer["journal"], now=time.time_ns() // 1_000_000 + 3_600_000, limit=100)
        for entry in due:
            stage = journal.read_stage(entry.reference, ["analytics"]) or {}
            for document in stage.get("analytics", b"").splitlines()[1::2]:
                end = orjson.loads(document)["window_end"]
                seen[end] = seen.get(end, 0) + 1
            journal.ack(entry.reference)
    assert len(set(seen.values())) == 1, seen
    return next(iter(seen.values()))


def invoke(whisk: Engine, name: str, params: dict[str, Any]) -> dict[str, Any]:
    status, answer = whisk.call("POST", f"actions/{name}?blocking=true&result=true", params)
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer
