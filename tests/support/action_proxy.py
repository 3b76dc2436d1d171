"""A small action proxy, as a user's command for a kind: python action_proxy.py PORT. Its parameters say what it does.

It takes one init in its life. `exit`: end with this status; `sleep`: seconds before the answer; `grow`: megabytes to take;
`start`: seconds that a process which it starts and leaves lives.
"""

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

END = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
loaded: dict[str, Any] = {}


def run(value: dict[str, Any]) -> dict[str, Any]:
    if "exit" in value:
        os._exit(value["exit"])
    if "start" in value:
        subprocess.Popen(["sleep", str(value["start"])])
    taken = b"x" * (value.get("grow", 0) << 20)
    time.sleep(value.get("sleep", 0))
    return {
        "code": loaded["code"],
        "given": value,
        "taken": len(taken),
        "pid": os.getpid(),
        "port": int(os.environ["PORT"]),
        "variables": sorted(os.environ),
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/init":
            status, answer = (403, {"error": "again"}) if loaded else (200, {"ok": True})
            loaded.update(body["value"])
        else:
            print("said", body["action_name"], flush=True)
            status, answer = 200, run(body["value"])
        for stream in (sys.stdout, sys.stderr):
            print(END, file=stream, flush=True)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    assert sys.argv[1] == os.environ["PORT"]
    print("begins", file=sys.stderr, flush=True)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
