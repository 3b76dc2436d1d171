"""The plates part of the manifest in a real engine, with a server of the test's in the image's place."""

import base64
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from plates import waiting
from tests.support.engine import Engine
from tests.support.paths import ROOT

IMAGE = "hort/plates:0.1.0"
KEY = "registry-key-of-a-test"
WEB = {True: {"web-export": True, "raw-http": False, "final": True}, "raw": {"web-export": True, "raw-http": True, "final": True}}
ZIPS = ("report", "plates-page", "forget-plates", "sink")
ACTIONS = ("plates", *ZIPS)


def answer(plate: str = "S168319", confidence: float = 89.2, **more: Any) -> dict[str, Any]:
    """What the action `plates` answers about a photo with one plate."""
    corners = [{"x": 70, "y": 90}, {"x": 170, "y": 88}, {"x": 172, "y": 122}, {"x": 71, "y": 125}]
    candidates = [
        {"plate": plate, "confidence": confidence, "matches_template": 1},
        {"plate": plate[:-1] + "B", "confidence": confidence - 9, "matches_template": 0},
    ]
    result = {
        "plate": plate, "confidence": confidence, "matches_template": 1, "region": "il", "region_confidence": 80,
        "coordinates": corners, "candidates": candidates, "requested_topn": 5,
    }  # fmt: skip
    return {
        "version": 2, "data_type": "alpr_results", "epoch_time": 1_790_000_000_000, "img_width": 320, "img_height": 240,
        "processing_time_ms": 41.5, "regions_of_interest": [], "results": [result], "plate": plate, "confidence": confidence,
        "source": {"given_as": "url", "kind": "jpeg", "bytes": 999, "sha256": "ab" * 32},
    } | more  # fmt: skip


class FakePlates:
    """A server of /init and /run: downloads what it is given, answers `reply`; `seen` are the values of /run."""

    def __init__(self) -> None:
        self.reply: dict[str, Any] = answer()
        self.seen: list[dict[str, Any]] = []
        self.photos: list[bytes] = []

    def run(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """One activation, with the report echoed as the real server does."""
        self.seen.append(dict(value))
        if "image" in value:
            self.photos.append(base64.b64decode(value["image"]))
        elif (where := waiting.given(value)) is not None:
            self.photos.append(waiting.fetch(where, deadline=time.monotonic() + 60, max_bytes=2_000_000))
        report = value.get("report")
        return {**self.reply, "report": report} if report else self.reply

    @contextmanager
    def served(self) -> Iterator[str]:
        """Its address."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                result = {"ok": True} if self.path == "/init" else outer.run(body["value"])
                raw = json.dumps(result).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()


def deploy(whisk: Engine, zips: Path, environment: Mapping[str, str]) -> None:
    """Creates actions, sequence, trigger and rule as manifest.yaml has them; the alarm is left out."""
    package = yaml.safe_load((ROOT / "manifest.yaml").read_text())["packages"]["hort"]
    _put(whisk, "packages/hort", {"parameters": _pairs(package["inputs"], environment)})
    for name in ACTIONS:
        declared = package["actions"][name]
        body = {
            "exec": _exec(declared, zips, environment),
            "annotations": _pairs(WEB.get(declared.get("web"), {}) | declared.get("annotations", {}), environment),
            "parameters": _pairs(declared.get("inputs", {}), environment),
        }
        _put(whisk, f"actions/hort/{name}", body)
    components = [f"/_/hort/{name.strip()}" for name in package["sequences"]["recognize"]["actions"].split(",")]
    _put(whisk, "actions/hort/recognize", {"exec": {"kind": "sequence", "components": components}})
    _put(whisk, "triggers/photo-submitted", {})
    rule = package["rules"]["photo-to-recognize"]
    _put(whisk, "rules/photo-to-recognize", {"trigger": f"/_/{rule['trigger']}", "action": f"/_/hort/{rule['action']}"})


def _exec(declared: Mapping[str, Any], zips: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    if "docker" in declared:
        return {"kind": "blackbox", "image": _filled(declared["docker"], environment)}
    code = base64.b64encode((zips / Path(declared["function"]).name).read_bytes()).decode()
    return {"kind": declared["runtime"], "code": code, "binary": True}


def _pairs(values: Mapping[str, Any], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _filled(value, environment)} for key, value in values.items()]


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    """As wskdeploy fills it in: a variable that is not set is empty."""
    if not isinstance(value, str):
        return value
    return re.sub(r"\$\{?(HORT_[A-Z_]+)\}?", lambda match: environment.get(match[1], ""), value)


def _put(whisk: Engine, path: str, body: dict[str, Any]) -> None:
    status, told = whisk.call("PUT", f"{path}?overwrite=true", body)
    assert status == 200, told
