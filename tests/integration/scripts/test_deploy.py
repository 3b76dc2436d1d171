import base64
import http.client
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lib.deploy import forwarder, target
from tests.support.engine import Engine
from tests.support.paths import SCRIPTS
from tests.support.services import environment

RUNTIMES = {
    "runtimes": {
        "python": [{"kind": "python:3.11", "default": True, "deprecated": False, "image": "python311action"}]
    }
}
MANIFEST = """
packages:
  small:
    version: 0.1.0
    license: Apache-2.0
    inputs: {where: $HORT_WHERE}
    actions:
      hello:
        code: "def main(args): return {'where': args['where']}"
        runtime: python:3.11
"""


class Stock(BaseHTTPRequestHandler):
    """Answers as a stock OpenWhisk does where wskdeploy asks: /api/info is 405, / lists the runtimes, entities can be put."""

    seen: list[tuple[str, str, Any]]
    known: tuple[str, ...] = ("/",)
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append(
            (self.command, self.path, json.loads(body) if body else self.headers.get("Authorization"))
        )
        if self.path in self.known:
            self._say(200, RUNTIMES)
        elif "/api/v1/" in self.path and self.command == "PUT":
            self._say(200, {"name": self.path.rpartition("/")[2].partition("?")[0], "namespace": "guest"})
        elif "/api/v1/" in self.path:
            self._say(404, {"error": "The requested resource does not exist.", "code": "x"})
        else:
            self._say(405, {"error": "HTTP method not allowed, supported methods: OPTIONS"})

    do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    def _say(self, status: int, value: Any) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def stock() -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    class Handler(Stock):
        pass

    Handler.seen = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", Handler.seen
    server.shutdown()
    server.server_close()


def deploy(*arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    argv = [str(SCRIPTS / "deploy"), *arguments]
    return subprocess.run(
        argv, capture_output=True, text=True, env=environment(**extra), timeout=600, check=False
    )


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.yaml"
    path.write_text(MANIFEST)
    return path


def test_the_real_wskdeploy_deploys_on_a_stock_openwhisk_through_the_forwarder(
    stock: tuple[str, list[tuple[str, str, Any]]], manifest: Path, state_dir: Path
) -> None:
    host, seen = stock
    done = deploy(
        "--apihost",
        host,
        "--auth",
        "me:secret-key",
        "--manifest",
        str(manifest),
        "--state",
        str(state_dir),
        HORT_WHERE="here",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    puts = {path.partition("?")[0]: body for method, path, body in seen if method == "PUT"}
    assert puts["/api/v1/namespaces/_/packages/small"]["parameters"] == [{"key": "where", "value": "here"}]
    assert puts["/api/v1/namespaces/_/actions/small/hello"]["exec"]["kind"] == "python:3.11"
    assert "secret-key" not in done.stdout + done.stderr
    assert base64.b64encode(b"me:secret-key").decode() not in done.stdout + done.stderr


def test_a_users_wskprops_is_neither_read_nor_written(
    stock: tuple[str, list[tuple[str, str, Any]]], manifest: Path, state_dir: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".wskprops").write_text("APIHOST=http://127.0.0.1:1\nAUTH=other:key\n")
    cache = os.environ.get("HORT_CACHE") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hort"
    )
    done = deploy(
        "--apihost",
        stock[0],
        "--manifest",
        str(manifest),
        "--state",
        str(state_dir),
        HOME=str(home),
        HORT_CACHE=cache,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in home.iterdir() if path.name != ".cache") == [".wskprops"]
    assert "other:key" in (home / ".wskprops").read_text()


def test_the_forwarder_answers_info_from_the_root_and_passes_the_rest_on(
    stock: tuple[str, list[tuple[str, str, Any]]],
) -> None:
    parts = urlsplit(stock[0])
    assert target.needs_forwarder(parts, insecure=False)
    with forwarder.forwarding(parts, insecure=False) as address:
        link = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        link.request("GET", "/api/info")
        info = link.getresponse()
        assert (info.status, info.getheader("Content-Type"), json.loads(info.read())) == (
            200,
            target.CONTENT_TYPE,
            RUNTIMES,
        )
        link.request("GET", "/api/v1/namespaces/_/actions/x", headers={"Authorization": "Basic abc"})
        answer = link.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (404, "x")
        link.close()
    assert ("GET", "/api/v1/namespaces/_/actions/x", "Basic abc") in stock[1]


def test_an_openwhisk_that_answers_info_needs_no_forwarder(
    stock: tuple[str, list[tuple[str, str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stock, "known", ("/", "/api/info"))
    assert not target.needs_forwarder(urlsplit(stock[0]), insecure=False)


def test_the_engine_needs_no_forwarder(whisk: Engine) -> None:
    assert not target.needs_forwarder(urlsplit(whisk.apihost), insecure=False)


def test_the_real_wskdeploy_deploys_twice_and_undeploys_on_the_engine(
    whisk: Engine, manifest: Path, state_dir: Path
) -> None:
    arguments = ("--apihost", whisk.apihost, "--manifest", str(manifest), "--state", str(state_dir))
    for _ in range(2):
        done = deploy(*arguments, HORT_WHERE="here")
        assert done.returncode == 0, done.stdout + done.stderr
        assert whisk.call("POST", "actions/small/hello?blocking=true&result=true", {}) == (
            200,
            {"where": "here"},
        )
    assert deploy(*arguments, "--undeploy").returncode == 0
    assert whisk.call("GET", "packages/small")[0] == 404


def test_what_is_no_openwhisk_is_named() -> None:
    done = deploy("--apihost", "http://127.0.0.1:1")
    assert (
        done.returncode,
        done.stderr.splitlines()[-1].startswith("error: http://127.0.0.1:1 cannot be reached"),
    ) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--apihost", "ftp://x"), "is not an http or https address"),
        (("--apihost", "http://me:pw@127.0.0.1:1"), "must not hold credentials"),
        (("--apihost", "http://openwhisk.example"), "needs a key"),
        (("--auth", "nokey"), "form uuid:secret"),
    ],
)
def test_bad_arguments_get_a_clear_error(arguments: tuple[str, ...], message: str) -> None:
    done = deploy(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
