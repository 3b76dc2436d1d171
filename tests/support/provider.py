"""A real provider process, and a small OpenWhisk over HTTP that notes fires and answers as told."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import redis
import requests
from paho.mqtt.enums import CallbackAPIVersion

from hort import batch, keys
from hort.batch import Message
from hort.journal import RedisJournal
from tests.support.forked import Forked
from tests.support.fuzz import LONG
from tests.support.paths import ROOT
from tests.support.polling import wait_until
from tests.support.services import environment

SECRET = "a-secret-for-tests-only"
KEY = "a-key-for-tests-only-0123456789"
AUTH = ("23bc46b1-0000-4ed5-8c54-816aa4f8c502", "key-of-the-tests")
TRIGGER = "/guest/device-events"

Answer = tuple[int, dict[str, Any] | None]


class FakeWhisk:
    """OpenWhisk as far as the provider sees it; `answer` decides on each fire, `on_fire` sees those that were accepted."""

    def __init__(self) -> None:
        self.fires: list[dict[str, Any]] = []
        self.attempts = 0
        self.answer: Callable[[int], Answer] = lambda _number: (202, None)
        self.on_fire: Callable[[dict[str, Any]], None] = lambda _payload: None
        self.logs: Callable[[str], list[str] | None] = lambda _activation: [started_line()]
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fire(self, payload: dict[str, Any]) -> Answer:
        with self._lock:
            self.attempts += 1
            status, body = self.answer(self.attempts)
            if status != 202:
                return status, body
            self.fires.append(payload)
            activation = f"{len(self.fires):032x}"
        self.on_fire(payload)
        return 202, {"activationId": activation}


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # of five, one more connection waits a second for its next try, and the provider gives up after three


def started_line(*, success: bool = True, error: str = "") -> str:
    line: dict[str, Any] = {"statusCode": 0 if success else 1, "success": success, "rule": "guest/r", "action": "guest/a"}
    return json.dumps(line if success else {**line, "error": error})


def _handler(whisk: FakeWhisk) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self._authorized():
                return
            parts = self.path.split("/")
            if parts[5] == "triggers":
                known = parts[6] != "unknown"
                self._send(200 if known else 404, {"name": parts[6]} if known else {"error": "no such trigger"})
                return
            logs = whisk.logs(parts[6])
            self._send(404 if logs is None else 200, {"error": "none"} if logs is None else {"logs": logs})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            payload = json.loads(self.rfile.read(length))
            if self._authorized():
                self._send(*whisk.fire(payload))

        def _authorized(self) -> bool:
            request = requests.Request("GET", "http://x", auth=AUTH).prepare()
            if self.headers.get("Authorization") == request.headers["Authorization"]:
                return True
            self._send(401, {"error": "The supplied authentication is invalid"})
            return False

        def _send(self, status: int, body: dict[str, Any] | None) -> None:
            raw = b"" if status == 204 else json.dumps(body or {}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if status != 204:
                self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_args: object) -> None:
            """Stays quiet."""

    return Handler


class Consumer:
    """What the suite's sequence does to a batch, in short: reads it, keeps its messages once, acknowledges."""

    def __init__(self, client: "redis.Redis", *, ack: bool = True) -> None:
        self.journal = RedisJournal(client)
        self.batches: dict[str, list[Message]] = {}
        self.ack = ack

    def __call__(self, payload: dict[str, Any]) -> None:
        reference = batch.reference(payload)
        assert reference is not None
        raw = self.journal.load(reference)
        if raw is not None:
            self.batches[reference.batch_id] = rows(raw)
            if self.ack:
                self.journal.ack(reference)

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for messages in list(self.batches.values()) for message in messages]


def rows(raw: bytes) -> list[Message]:
    """The messages of a journalled batch, one by one."""
    columns = batch.unpack(raw)
    return [
        Message(columns.topics[number], payload, received, flags & 3, bool(flags & batch.RETAINED))
        for number, payload, received, flags in zip(
            columns.topic_index, columns.payloads, columns.received_at, columns.flags, strict=True
        )
    ]


class Provider:
    """A `python -m feeds.provider` of its own."""

    def __init__(self, folder: Path, *, redis_url: str, api_host: str, name: str = "provider", module: str = "feeds.provider", **env: str) -> None:
        self.redis_url = redis_url
        self.log_path = folder / f"{name}.log"
        ready = folder / f"{name}.ready"
        ready.unlink(missing_ok=True)
        variables = {
            "HORT_REDIS_URL": redis_url,
            "HORT_API_HOST": api_host,
            "HORT_PROVIDER_SECRET": SECRET,
            "HORT_PROVIDER_KEY": KEY,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "actions"), str(ROOT / "scripts"))),
        }
        self.process = _start(module, ["--port", "0", "--ready-file", str(ready)], env=environment(**{**variables, **env}), log=self.log_path)
        wait_until(lambda: ready.exists() or self.process.poll() is not None, timeout_s=120, what="provider ready")
        assert self.process.poll() is None, self.log_path.read_text()
        self.url = ready.read_text().strip()

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def logged(self, action: str) -> list[dict[str, Any]]:
        """The log's lines of an action, without one that is being written."""
        whole, _, _ = self.log.rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line["action"] == action]

    def call(self, method: str, body: dict[str, Any], *, trigger: str = TRIGGER, auth: tuple[str, str] = AUTH, secret: str = SECRET) -> requests.Response:
        body = {"trigger": trigger, **body}
        options: dict[str, Any] = {"params": body} if method in ("GET", "DELETE") else {"json": body}
        headers = {"X-HoRT-Secret": secret}
        return requests.request(method, f"{self.url}/registrations", headers=headers, auth=auth, timeout=30, **options)

    def create(self, **params: Any) -> dict[str, Any]:
        """Registers the tests' trigger and waits until it is connected and subscribed."""
        answer = self.call("POST", {"params": params})
        assert answer.status_code == 200, answer.text
        self.wait_connected()
        return dict(answer.json())

    def read(self) -> dict[str, Any]:
        return dict(self.call("GET", {}).json())

    def wait_connected(self) -> None:
        """Connected as its status tells, and subscribed: what is published before the broker has the subscription is nobody's."""
        wait_until(self._subscribed, timeout_s=60, what="connected to the broker and subscribed")

    def _subscribed(self) -> bool:
        read = self.read()
        return bool(read.get("connected")) and self.has_subscribed(read["id"], read["config"])

    def has_subscribed(self, registration: str, config: dict[str, Any]) -> bool:
        """Whether the broker answered the subscription to each topic of a configuration as READ shows it."""
        with redis.Redis.from_url(self.redis_url) as client:
            raw: Any = client.get(keys.subscribed(registration))
        name, _, session = (raw or b"").decode().partition("\n")
        if not session or json.loads(name)[1] != config["client_id"]:
            return False
        known: dict[str, int] = json.loads(session)[1]
        return all(known.get(topic) == config["qos"] for topic in config["topics"])

    def healthy(self) -> dict[str, Any]:
        """What its health says once all is well: where it listens, its supervisor may not have looked yet."""

        def look() -> dict[str, Any]:
            answer = requests.get(f"{self.url}/health", timeout=60)
            return dict(answer.json()) if answer.status_code == 200 else {}

        return wait_until(look, what="all is well")

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = requests.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0] == f"hort_provider_{name}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)

    def close(self) -> None:
        """Ends it; in order where its lines are counted, since it writes them at its end."""
        if os.environ.get(LONG):
            with suppress(subprocess.TimeoutExpired):
                self.stop()
        self.kill()

    def stop(self) -> int:
        """Ends it in order; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def _start(module: str, arguments: list[str], *, env: dict[str, str], log: Path) -> "Forked | subprocess.Popen[bytes]":
    """As a user starts it, where lines of started processes are counted or time does not matter."""
    if not os.environ.get(LONG):
        return Forked(module, arguments, cwd=ROOT, env=env, log=log)
    with log.open("ab") as file:
        return subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT, env=env, stderr=file, stdout=file)


@contextmanager
def publisher(url: str, *, username: str = "", password: str = "") -> Iterator[mqtt.Client]:
    """A connected MQTT client that publishes in the background."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    if username:
        client.username_pw_set(username, password)
    client.max_inflight_messages_set(0)
    parts = urlsplit(url)
    client.connect(parts.hostname or "127.0.0.1", parts.port or 1883)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def publish(client: mqtt.Client, topic: str, payloads: list[bytes], *, qos: int = 1, retain: bool = False) -> None:
    """Publishes and waits until the broker has them."""
    sent = [client.publish(topic, payload, qos=qos, retain=retain) for payload in payloads]
    for info in sent:
        info.wait_for_publish(60)
        assert info.is_published(), f"the broker did not take a message for {topic} within 60 s"
