"""Options that cannot be used are named at once, by every script, and not after minutes or with a traceback."""

import os
import socket
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

SECRETS = {"HORT_PROVIDER_SECRET": "s" * 16, "HORT_PROVIDER_KEY": "k" * 16}


def run(*argv: str) -> tuple[int, str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("scripts", "actions", "."))
    env = {**os.environ, "PYTHONPATH": path, **SECRETS}
    done = subprocess.run([sys.executable, "-m", *argv], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("gbfs_server serve --port 99999999", "--port: must be from 0 to 65535"),
        ("gbfs_server serve --port -1", "--port: must be from 0 to 65535"),
        ("campaign --minutes nan", "--minutes: must be a number above 0"),
        ("campaign --rate inf", "--rate: must be a number above 0"),
        ("campaign --json /nowhere/at/all.json", "--json: /nowhere/at/all.json is no file in an existing folder"),
        ("workloads stream --rate -5", "--rate: must be a number above 0"),
        ("workloads stream --devices 0", "--devices: must be a whole number above 0"),
        ("workloads --json /nowhere/at/all.json engine", "--json: /nowhere/at/all.json is no file in an existing folder"),
        ("feeds.provider --port 99999999", "'provider_port' must be a number from 0 to 65535"),
    ],
)
def test_it_is_named_with_its_value(command: str, told: str) -> None:
    status, said = run(*command.split())
    assert (status, told in said) == (2, True), said


def test_a_taken_port_of_the_provider_names_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = run("feeds.provider", "--port", str(port))
    assert status == 2
    assert said.startswith(f"feeds.provider: 127.0.0.1:{port} cannot be listened on: Address already in use")
