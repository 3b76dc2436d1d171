"""No key of anybody reaches a document, an activation record, a log or a model: the whole suite is used, then everything is searched.

Where a secret may be, and why:
- registry_key, provider_secret: parameters of actions in the engine's state, which only the namespace's owner may read (OpenWhisk
  has no other place for them); nowhere else.
- a namespace's key: the engine's state (it is the one who checks it, and its alarms fire with it); sealed in the provider's Redis.
- a broker's password: sealed in the provider's Redis.
- a model's credentials in its URL: the registry and the scorer's list in Redis; the model itself. Who has the registry's key reads them
  sealed under it.
"""

import base64
import json
import secrets as random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import redis
import requests
from elasticsearch import Elasticsearch

from hort import keys, models, seal
from lib.local import GUEST_KEY
from tests.acceptance.conftest import Device, patient
from tests.support import pictures
from tests.support.polling import wait_until
from tests.support.secrets import Found, Scanner, key_forms
from workloads.machine import Machine

AUTH = (GUEST_KEY.partition(":")[0], GUEST_KEY.partition(":")[2])
TRIGGER, RULE = "secret-events", "secret-events-to-stream"
REGISTRY = {f"redis {key}" for key in (keys.MODELS, keys.MODELS_ACTIVE)}


class ModelServer:
    """Models that tell all they were sent: `/good` answers, `/broken` fails and repeats address and headers."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.url = ""

    def answer(self, path: str, told: str) -> tuple[int, bytes]:
        self.seen.append(told.encode())
        if path.startswith("/good"):
            return 200, b'{"all": "well"}'
        return 500, f"no such model: {told}".encode()


@contextmanager
def model_server() -> Iterator[ModelServer]:
    models = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
            status, answer = models.answer(self.path, f"{self.path}\n{self.headers}\n{body}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST  # noqa: N815 - the name that http.server asks for

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    models.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield models
    finally:
        server.shutdown()
        server.server_close()


class Suite:
    """The suite as its owner and as strangers use it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.password, self.username = f"pw{random.token_hex(16)}", f"user{random.token_hex(8)}"
        self.token = f"tk{random.token_hex(16)}"
        self._base = f"{machine.whisk.api_host}/api/v1/namespaces/_"
        self.key = {"X-HoRT-Key": machine.env["HORT_REGISTRY_KEY"]}

    @property
    def secrets(self) -> dict[str, str]:
        env = self.machine.env
        return {
            **key_forms("namespace", GUEST_KEY),
            "provider secret": env["HORT_PROVIDER_SECRET"],
            "provider key": env["HORT_PROVIDER_KEY"],
            "registry key": env["HORT_REGISTRY_KEY"],
            "broker password": self.password,
            "model credential": self.token,
        }

    def api(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{self._base}/{path}", json=body, auth=AUTH, timeout=65)

    def web(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """A call of a web action by nobody in particular."""
        return requests.request(method, self.machine.whisk.web(path), json=body, headers=headers, timeout=65)

    def feed(self, event: str, **params: Any) -> dict[str, Any]:
        args = {"lifecycleEvent": event, "triggerName": f"/guest/{TRIGGER}", "authKey": GUEST_KEY, **params}
        result: dict[str, Any] = self.api("POST", "actions/hort/mqtt?blocking=true&result=true", args).json()
        return result

    def begin(self, topic: str) -> None:
        """A second feed, with a login, into the suite's own sequence."""
        assert self.api("PUT", f"triggers/{TRIGGER}", {"annotations": [{"key": "feed", "value": "hort/mqtt"}]}).status_code == 200
        rule = {"trigger": f"/_/{TRIGGER}", "action": "/_/hort/stream"}
        assert self.api("PUT", f"rules/{RULE}", rule).status_code == 200
        login = {"username": self.username, "password": self.password}
        created = self.feed("CREATE", url=self.machine.mqtt_url, topics=topic, linger_ms=50, grace_s=0, **login)
        assert created["config"]["password"] == "***", created
        wait_until(lambda: self.feed("READ").get("subscribed"), what="the feed's subscription")

    def end(self) -> None:
        """Nothing stays."""
        self.feed("DELETE")
        for entity in (f"rules/{RULE}", f"triggers/{TRIGGER}"):
            self.api("DELETE", entity)
        for name in ("good", "broken", "refused"):
            self.web("DELETE", f"models/{name}", **self.key)
        self.machine.whisk.invoke("hort/poll-models")


@pytest.fixture
def suite(machine: Machine) -> Iterator[Suite]:
    used = Suite(machine)
    yield used
    used.end()


def register(suite: Suite, server: str, device_type: str) -> list[str]:
    """Models with credentials, by the key and without; all that strangers were told."""
    told = []
    for name, protocol in (("good", "query"), ("broken", "json")):
        model = {"url": f"{server}/{name}?token={suite.token}", "protocol": protocol, "device_types": [device_type], "breaker": {"failures": 0}, "timeout_ms": 30_000}
        told.append(suite.web("PUT", f"models/{name}", model).text)
        told.append(suite.web("PUT", f"models/{name}", model, **{"X-HoRT-Key": "wrong"}).text)
        assert suite.web("PUT", f"models/{name}", model, **suite.key).status_code == 201
    for url in (f"http://user:{suite.token}@127.0.0.1/", f"http://169.254.169.254/?token={suite.token}", f"ftp://127.0.0.1/?token={suite.token}"):
        refused = suite.web("PUT", "models/refused", {"url": url}, **suite.key)
        assert refused.status_code == 422
        told.append(refused.text)
    told.append(suite.web("GET", "models", **suite.key).text)
    sealed = [model[models.SEALED] for model in json.loads(told[-1])["models"] if model["name"] in ("good", "broken")]
    assert all(suite.token in str(seal.opened(text, suite.key["X-HoRT-Key"])) for text in sealed)
    assert len(sealed) == 2
    told += [suite.web("GET", path).text for path in ("models", "models/good", "models/broken")]
    suite.machine.whisk.invoke("hort/poll-models")
    return told


def report(suite: Suite) -> list[str]:
    """A photo is reported with and without the key."""
    photo = base64.b64encode(pictures.encoded(pictures.quarters())).decode()
    assert suite.web("POST", "report", {"image": photo}).status_code == 401
    taken = suite.web("POST", "report", {"image": photo, "note": "a note"}, **suite.key)
    assert taken.status_code == 202, taken.text
    return [taken.text]


def refused_feeds(suite: Suite) -> list[str]:
    """Feeds that cannot be: their errors go to the client and into records."""
    odd: list[dict[str, Any]] = [
        {"url": f"mqtt://user:{suite.password}@127.0.0.1:1"},
        {"url": f"http://user:{suite.password}@127.0.0.1"},
        {"url": "mqtt://a", "password": {"x": suite.password}},
        {"url": "mqtt://a", "pasword": suite.password},
        {"url": "mqtt://a", "tls_key": suite.password},
        {"url": "mqtt://a", "authKey": f"{AUTH[0]}:wrong{suite.password}"},
    ]
    answers = [suite.feed("CREATE", topics="x", **params) for params in odd]
    assert all("error" in answer for answer in answers), answers
    return [json.dumps(answer) for answer in answers]


def shown(suite: Suite) -> list[str]:
    """What anybody may look at."""
    provider = suite.machine.provider_url
    pages = [suite.web("GET", path).text for path in ("dashboard", "dashboard/data.json", "dashboard/data")]
    pages += [requests.get(f"{provider}/{path}", timeout=30).text for path in ("health", "metrics", "registrations", "nothing")]
    secret = {"X-HoRT-Secret": suite.machine.env["HORT_PROVIDER_SECRET"]}
    pages.append(requests.get(f"{provider}/registrations", headers=secret, timeout=30).text)
    return [*pages, json.dumps(suite.feed("READ"))]


def allowed(found: Found) -> bool:
    """See this file's beginning."""
    if found.where.startswith("engine state"):
        return found.secret not in ("provider key", "broker password")
    return found.secret == "model credential" and found.where in REGISTRY


@pytest.mark.timeout(1200)
def test_no_secret_is_anywhere_it_may_not_be(
    suite: Suite, device: Device, search: Elasticsearch, stored: Callable[[str, str], list[dict[str, Any]]]
) -> None:
    machine = suite.machine
    scanner = Scanner(suite.secrets)
    with model_server() as server:
        suite.begin(f"secret/{device.device_type}/#")
        told = register(suite, server.url, device.device_type) + report(suite) + refused_feeds(suite)
        for number in range(20):
            topic = f"iot-2/type/{device.device_type}/id/{number % 3}/evt/status/fmt/json"
            device.publish({"bikes": number, "text": "x" * 20}, topic=topic)
            device.publish({"bikes": number}, topic=f"secret/{device.device_type}/{number}")
        device.publish(b"\xff no JSON")
        device.published()
        wait_until(patient(lambda: len(stored("all-events", device.device_type)) == 20), timeout_s=180, what="the records")

        def scored() -> bool:
            found = {(row["model"], row["status"]) for row in stored("model-results", device.device_type)}
            return {("good", "ok"), ("broken", "error")} <= found

        wait_until(patient(scored), timeout_s=180, what="results of both models")
        wait_until(patient(lambda: _letters(search, f"secret/{device.device_type}")), timeout_s=180, what="letters of the second feed")
        wait_until(patient(lambda: bool(stored("analytics", device.device_type))), timeout_s=180, what="a closed window")
        told += shown(suite)
        for number, text in enumerate(told):
            scanner.look("answer", str(number), text.encode())
        for number, request in enumerate(server.seen):
            scanner.look("model", str(number), request.replace(suite.token.encode(), b"(its own)"))
    _search_everything(scanner, machine, search)
    errors = [row["error"] for row in stored("model-results", device.device_type) if row["status"] == "error"]
    assert any("/broken?token=***" in error for error in errors), "what the server said is kept, masked"

    wrong = sorted((found.secret, found.where) for found in scanner.found if not allowed(found))
    assert wrong == []
    _looked_everywhere(scanner)


def _search_everything(scanner: Scanner, machine: Machine, search: Elasticsearch) -> None:
    scanner.elasticsearch(search)
    with redis.Redis.from_url(machine.redis_url) as client:
        scanner.redis(client)
    scanner.activations(f"{machine.whisk.api_host}/api/v1/namespaces/guest/activations", AUTH)
    scanner.files(machine.state, kind="log", patterns=["*.log", "*.json", "*.out", "*.err"])
    scanner.files(machine.state / "engine", kind="engine state", patterns=["*.sqlite", "*.sqlite-wal"])


def _looked_everywhere(scanner: Scanner) -> None:
    """The search can find: secrets are where they have to be, and no place was empty."""
    places = {found.where.partition("/")[0] for found in scanner.found}
    assert places >= REGISTRY
    assert any(place.startswith("engine state") for place in places)
    for kind in ("index all-events", "index dead-letters", "index model-results", "index analytics", "payload", "redis", "activation", "log", "model"):
        assert scanner.looked_at.get(kind, 0) > 0, kind


def _letters(search: Elasticsearch, topic: str) -> bool:
    search.indices.refresh(index="dead-letters", ignore_unavailable=True)
    found = search.count(index="dead-letters", query={"prefix": {"topic": topic}}, ignore_unavailable=True)
    return int(found["count"]) >= 20
