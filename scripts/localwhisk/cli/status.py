"""`whisk status`: whether an engine runs, where, and what it holds."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from localwhisk import instance
from localwhisk.cli.remote import NotReached, Remote, address, auth
from localwhisk.lines import printable

NOT_RUNNING = 3  # as init scripts say it
_COLLECTIONS = ("packages", "actions", "triggers", "rules", "activations")


def run(options: Namespace) -> int:
    """Print it; 0 when it runs, 3 when not."""
    try:
        remote = Remote(address(options.apihost, options.state), auth(options.auth, options.apihost, options.state), state=options.state)
        found = _ask(remote, options)
    except NotReached as error:
        sys.stdout.write(json.dumps({"running": False}) + "\n" if options.json else f"not running: {error}\n")
        return NOT_RUNNING
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if options.json else _text(found))
    return 0


def _ask(remote: Remote, options: Namespace) -> dict[str, Any]:
    root = remote.get("/")
    found: dict[str, Any] = {"running": True, "apihost": remote.address}
    here = None if options.apihost else instance.running(options.state)
    if here is not None:
        up_s = max(0, time.time_ns() // 1_000_000 - here.started_ms) // 1000
        found |= {"pid": here.pid, "up_s": up_s, "state": str(options.state), "state_bytes": _bytes(options.state)}
    limits = root["limits"]
    return found | {
        "namespace": remote.get("/api/v1/namespaces")[0],
        "running_activations": remote.get("/activation/count"),
        "limits": {
            "invocations_per_minute": limits["actions_per_minute"],
            "fires_per_minute": limits["triggers_per_minute"],
            "concurrent": limits["concurrent_actions"],
        },
        **{name: remote.count(name) for name in _COLLECTIONS},
    }


def _bytes(folder: Path) -> int:
    """Size of the files in a folder; what a running engine deletes meanwhile counts for nothing."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118
    return size


def _text(found: dict[str, Any]) -> str:
    limits = found["limits"]
    entities = ", ".join(f"{found[name]} {name}" for name in _COLLECTIONS[:-1])
    rates = f"{limits['invocations_per_minute']} invocations and {limits['fires_per_minute']} fires a minute"
    rows = [("API", found["apihost"])]
    if "pid" in found:
        rows.append(("process", f"{found['pid']}, up {_span(found['up_s'])}"))
        rows.append(("state", f"{found['state']} ({found['state_bytes'] / 1e6:.1f} MB)"))
    rows += [
        ("namespace", f"{found['namespace']}: {entities}"),
        ("activations", f"{found['activations']} kept, {found['running_activations']} running"),
        ("limits", f"{rates}, {limits['concurrent']} at once"),
    ]
    return "".join(f"{name:<12}{printable(str(value))}\n" for name, value in rows)


def _span(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
