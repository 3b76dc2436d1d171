"""Looking for secrets wherever something is kept: documents, activation records, Redis, files, what others were sent."""

import base64
import contextlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgpack
import redis
import requests
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

PAGE = 200
DEEPEST = 4


@dataclass(frozen=True)
class Found:
    """A secret, by its name, and where it is."""

    secret: str
    where: str


def forms(secret: str) -> list[bytes]:
    """A secret as it is, as a URL and as base64 carry it (whatever stands before it)."""
    texts = {secret, quote(secret, safe="")}
    raw = secret.encode()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).decode()
        skip = (0, 2, 3)[before]
        texts.add(coded[skip : len(coded) - 4])
    return [text.encode() for text in texts]


def key_forms(name: str, key: str) -> dict[str, str]:
    """A namespace key: both halves, the whole, and what Basic authorization makes of it."""
    return {
        f"{name}'s uuid": key.partition(":")[0],
        f"{name}'s key": key.partition(":")[2],
        f"{name}'s basic auth": base64.b64encode(key.encode()).decode(),
    }


class Scanner:
    """Notes every secret that it comes across."""

    def __init__(self, secrets: dict[str, str]) -> None:
        self._needles = {name: forms(secret) for name, secret in secrets.items()}
        self.found: set[Found] = set()
        self.looked_at: dict[str, int] = {}

    def look(self, kind: str, where: str, content: bytes) -> None:
        """Looks through some bytes and what is packed into them."""
        self.looked_at[kind] = self.looked_at.get(kind, 0) + 1
        for piece in unfolded(content):
            for name, needles in self._needles.items():
                if any(needle in piece for needle in needles):
                    self.found.add(Found(name, f"{kind} {where}"))

    def elasticsearch(self, client: Elasticsearch) -> None:
        """Every document of every index; one that is just being made has no shard to ask for a while."""
        client.cluster.health(wait_for_status="yellow", timeout="30s")
        client.indices.refresh(index="*")
        for hit in scan(client, index="*", size=1_000):
            where = f"{hit['_index']}/{hit['_id']}"
            self.look(f"index {hit['_index']}", where, json.dumps(hit).encode())
            for letter in (hit["_source"].get("payload_base64"),):
                if isinstance(letter, str):
                    self.look("payload", where, base64.b64decode(letter))

    def redis(self, client: "redis.Redis") -> None:
        """Every key and its value, whatever its type."""
        for key in client.scan_iter(count=1_000):
            self.look("redis", key.decode(errors="replace"), key + b"\n" + b"\n".join(_redis_values(client, key)))

    def activations(self, url: str, auth: tuple[str, str]) -> None:
        """Every activation record of a namespace, logs and results included."""
        skip = 0
        while True:
            answer = requests.get(f"{url}?docs=true&limit={PAGE}&skip={skip}", auth=auth, timeout=60)
            assert answer.status_code == 200, answer.text
            for record in answer.json():
                assert {"logs", "response"} <= record.keys()
                self.look("activation", f"{record['name']}/{record['activationId']}", json.dumps(record).encode())
            if len(answer.json()) < PAGE:
                return
            skip += PAGE

    def files(self, folder: Path, *, kind: str, patterns: Iterable[str]) -> None:
        """Files of a folder, at any depth; what its owners remove meanwhile is passed over."""
        wanted = list(patterns)
        for parent, _, names in os.walk(folder):
            for path in (Path(parent, name) for name in names if any(fnmatch(name, pattern) for pattern in wanted)):
                with contextlib.suppress(FileNotFoundError):
                    self.look(kind, str(path.relative_to(folder)), path.read_bytes())


def unfolded(content: bytes, depth: int = 0) -> Iterator[bytes]:
    """The bytes, and what zlib, gzip or MessagePack has packed into them."""
    yield content
    if depth == DEEPEST:
        return
    with contextlib.suppress(zlib.error):
        yield from unfolded(zlib.decompress(content, 47), depth + 1)
    try:
        value = msgpack.unpackb(content, strict_map_key=False, object_pairs_hook=list)  # bytes that are none may hold keys that no dict takes
    except (ValueError, msgpack.UnpackException):
        return
    if isinstance(value, list):
        for part in _leaves(value):
            yield from unfolded(part, depth + 1)


def _leaves(value: Any) -> Iterator[bytes]:
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, (str, bytes)):
        yield value if isinstance(value, bytes) else value.encode("utf-8", "replace")


def _redis_values(client: Any, key: bytes) -> list[bytes]:
    kind = client.type(key).decode()
    readers: dict[str, Any] = {
        "string": lambda: [client.get(key)],
        "hash": lambda: [part for pair in client.hgetall(key).items() for part in pair],
        "list": lambda: client.lrange(key, 0, -1),
        "set": lambda: list(client.smembers(key)),
        "zset": lambda: client.zrange(key, 0, -1),
        "none": list,
    }
    values: list[bytes] = [value for value in readers[kind]() if value is not None]
    return [piece for value in values for piece in unfolded(value)]
