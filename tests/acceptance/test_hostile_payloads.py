"""Each hostile payload ends in a document or in a dead letter with its own reason, and none costs its batch."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import requests
from elasticsearch import Elasticsearch

from lib.local import GUEST_KEY
from tests.acceptance.conftest import Device, patient, patiently
from tests.support.polling import wait_until
from workloads.machine import Machine

STORED = "stored"
AUTH = (GUEST_KEY.partition(":")[0], GUEST_KEY.partition(":")[2])
BOMB = gzip.compress(b'{"a":"' + b"x" * 20_000_000 + b'"}')
LONG = "x" * 256

PAYLOADS: dict[str, tuple[bytes, str]] = {
    # numbers
    "1e999": (b'{"a":1e999}', "nan"),
    "minus-1e999": (b'{"a":-1e999}', "nan"),
    "nan": (b'{"a":NaN}', "nan"),
    "infinity": (b'{"a":-Infinity}', "nan"),
    "401-digits": (b'{"a":' + b"9" * 401 + b"}", "nan"),
    "2-to-the-64": (b'{"a":18446744073709551616}', "bad-number"),
    "largest-double": (b'{"a":1.7976931348623157e308}', STORED),
    "smallest-double": (b'{"a":5e-324,"b":-0.0}', STORED),
    "hex": (b'{"a":0x10}', "not-json"),
    "leading-zero": (b'{"a":01}', "not-json"),
    # texts
    "half-pair": (b'{"t":"\\ud800"}', "not-json"),
    "pair": (b'{"t":"\\ud83d\\ude00"}', STORED),
    "nul-in-a-text": (b'{"t":"a\\u0000b"}', STORED),
    "raw-nul": (b'{"t":"a\x00b"}', "not-json"),
    "not-utf-8": (b'{"t":"\xff"}', "not-utf8"),
    "overlong-utf-8": (b'{"t":"\xc0\x80"}', "not-utf8"),
    "long-text": (json.dumps({"t": "x" * 40_000}).encode(), STORED),
    "longer-than-lucene-takes": (b'{"t":"' + "é".encode() * 400_000 + b'"}', STORED),
    "byte-order-mark": (b'\xef\xbb\xbf{"a":1}', "not-json"),
    # names
    "empty-name": (b'{"":1," ":2}', "repeated-name"),
    "dots": (b'{".":1,"..":2,"a.":3,".a":4,"a..b":5}', STORED),
    "two-ways-to-a-name": (b'{"a.b":1,"a":{"b":2}}', "repeated-name"),
    "name-and-its-child": (b'{"c":1,"c.d":2,"c.d.e":3}', STORED),
    "names-of-elasticsearch": (b'{"_id":1,"_source":2,"_index":3,"_routing":"x","@timestamp":"y"}', STORED),
    "names-of-javascript": (b'{"__proto__":{"a":1},"constructor":2}', STORED),
    "nul-in-a-name": (b'{"a\\u0000b":1}', STORED),
    "controls-in-a-name": (b'{"a\\nb":1,"\\u007f":2,"\\u2028":3,"\\u202e":4}', STORED),
    "long-name": (json.dumps({LONG: 1}).encode(), STORED),
    "longer-name": (json.dumps({LONG + "x": 1}).encode(), "bad-field"),
    "same-name-twice": (b'{"a":1,"a":2}', "repeated-name"),
    "ow-headers": (b'{"__ow_headers":{"authorization":"mine"},"batch_id":"x","journal":"y"}', STORED),
    # shapes
    "too-many-fields": (json.dumps({f"f{number}": 1 for number in range(257)}).encode(), "too-many-fields"),
    "most-fields": (json.dumps({f"f{number}": 1 for number in range(256)}).encode(), STORED),
    "too-deep": (b'{"a":' * 17 + b"1" + b"}" * 17, "too-deep"),
    "far-too-deep": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "too-deep"),
    "deep-lists": (b'{"a":' + b"[" * 500 + b"]" * 500 + b"}", "too-deep"),
    "unclosed": (b"[" * 100_000, "too-deep"),
    "mixed-list": (b'{"a":[1,"x",{"b":[null]}]}', STORED),
    "long-list": (json.dumps({"a": list(range(20_000))}).encode(), STORED),
    "null": (b"null", "not-object"),
    "text": (b'"x"', "not-object"),
    "empty-array": (b"[]", "empty"),
    "arrays-in-an-array": (b"[[{}]]", "not-object"),
    "too-many-records": (json.dumps([{}] * 10_001).encode(), "too-many-records"),
    "blank": (b" \n\t ", "empty"),
    "two-values": (b'{"a":1}{"a":2}', "not-json"),
    # sizes and compression
    "too-large": (b'{"a":"' + b"x" * 1_048_576 + b'"}', "too-large"),
    "bomb": (BOMB, "too-large"),
    "bomb-in-gzip": (gzip.compress(BOMB), "not-utf8"),
    "gzip-in-gzip": (gzip.compress(gzip.compress(b'{"a":1}', mtime=0)), "not-utf8"),
    "two-members": (gzip.compress(b'{"a":') + gzip.compress(b"1}"), STORED),
    "data-after-gzip": (gzip.compress(b'{"a":1}') + b"more", "bad-gzip"),
    "gzip-cut-short": (gzip.compress(b'{"a":1}')[:-5], "bad-gzip"),
    "gzip-of-nothing": (gzip.compress(b""), "empty"),
    "zlib": (zlib.compress(b'{"a":1}'), STORED),
    "only-a-magic-number": (b"\x1f\x8b", "bad-gzip"),
}
DEVICES = {"q": "a'\"b", "space": "a b", "pair": "\U0001f600", "proto": "__proto__", "percent": "%00%2f", "dollar": "$SYS", "dots": "..", "rtl": "\u202eabc", "long": "d" * 256}


def test_each_has_its_end(
    device: Device, search: Elasticsearch, stored: Callable[[str, str], list[dict[str, Any]]]
) -> None:
    for name, (payload, _) in PAYLOADS.items():
        device.publish(payload, device=name)
    for name in DEVICES.values():
        device.publish({"a": 1}, device=name)
    device.publish({"a": 1}, device="d" * 257)
    device.publish({"a": 1}, topic=f"iot-2/type/{device.device_type}/id//evt/status/fmt/json")
    device.published()

    def ends() -> dict[str, str]:
        documents = stored("all-events", device.device_type)
        return {row["device_id"]: STORED for row in documents} | {_device(row): row["reason"] for row in _letters(search, device.device_type)}

    count = len(PAYLOADS) + len(DEVICES) + 2
    wait_until(patient(lambda: len(ends()) >= count), timeout_s=180, what=f"an end of each of {count}")
    found = ends()

    expected = {name: end for name, (_, end) in PAYLOADS.items()} | dict.fromkeys(DEVICES.values(), STORED)
    expected |= {"d" * 257: "bad-key", "": "topic-mismatch"}
    assert {name: (end, found.get(name)) for name, end in expected.items() if found.get(name) != end} == {}
    assert not [row for row in _letters(search, device.device_type) if row["stage"] != "ingest"], "nothing was refused by the store"


ODD_TOPICS = {"nul": "a\0b", "control": "a\x01\n\x7f", "half-pair": "a\ud800", "separator": "a\u2028b", "empty": "", "private": "\ufdd0\uffff"}


def test_topics_that_no_broker_takes(
    machine: Machine, device: Device, search: Elasticsearch, stored: Callable[[str, str], list[dict[str, Any]]]
) -> None:
    """Whoever may fire the trigger may name any topic: a half surrogate pair becomes '?', an empty level matches nothing."""
    messages = [
        {"topic": f"iot-2/type/{device.device_type}/id/{odd}/evt/{name}/fmt/json", "payload": '{"a":1}'} for name, odd in ODD_TOPICS.items()
    ]
    fired = requests.post(
        f"{machine.whisk.api_host}/api/v1/namespaces/_/triggers/device-events", json={"messages": messages}, auth=AUTH, timeout=60
    )
    assert fired.status_code == 202, fired.text

    wait_until(patient(lambda: len(stored("all-events", device.device_type)) == len(ODD_TOPICS) - 1), timeout_s=180, what="the records")
    found = {row["event"]: row["device_id"] for row in stored("all-events", device.device_type)}
    assert found == {name: odd.replace("\ud800", "?") for name, odd in ODD_TOPICS.items() if odd}
    wait_until(patient(lambda: bool(_letters(search, device.device_type))), timeout_s=180, what="the letter")
    (letter,) = _letters(search, device.device_type)
    assert letter["reason"] == "topic-mismatch"


def _device(letter: dict[str, Any]) -> str:
    return str(letter["topic"].split("/")[4])


def _letters(search: Elasticsearch, device_type: str) -> list[dict[str, Any]]:
    return patiently(lambda: _found(search, device_type))


def _found(search: Elasticsearch, device_type: str) -> list[dict[str, Any]]:
    search.indices.refresh(index="dead-letters", ignore_unavailable=True)
    found = search.search(
        index="dead-letters", query={"prefix": {"topic": f"iot-2/type/{device_type}/"}}, size=1_000, ignore_unavailable=True
    )
    return [hit["_source"] for hit in found["hits"]["hits"]]
