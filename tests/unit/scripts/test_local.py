"""What runs over a state folder is found with its key, and loopback addresses stay on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib import local
from localwhisk.instance import Claim
from operate.connections import NotConnected, resolve
from operate.trace import _parser


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """A state folder over which a demo runs, beside what a stack of an earlier day left."""
    (tmp_path / "stack.env").write_text("HORT_REDIS_URL=redis://127.0.0.1:1\nHORT_INDEX_PREFIX=old-\n")
    claim = Claim(tmp_path / "demo/engine")
    claim.announce("http://127.0.0.1:4711/", "uuid:drawn")
    (tmp_path / "demo/stack.env").write_text("HORT_REDIS_URL=redis://127.0.0.1:2\n")
    yield tmp_path
    claim.release()


def test_a_running_demo_is_found_with_its_key_and_its_services(running: Path) -> None:
    found = local.look(running)
    assert (found.api_host, found.key_of("http://127.0.0.1:4711")) == ("http://127.0.0.1:4711", "uuid:drawn")
    assert found.settings["HORT_REDIS_URL"] == "redis://127.0.0.1:2"
    assert "uuid:drawn" not in repr(found)


def test_its_key_and_addresses_go_to_no_other_machine(running: Path) -> None:
    found = local.look(running)
    assert found.key_of("http://127.0.0.1:3233") == local.GUEST_KEY
    assert (found.key_of("https://openwhisk.example"), found.settings_of("https://openwhisk.example")) == ("", {})


def test_without_an_engine_there_is_the_usual_one(tmp_path: Path) -> None:
    found = local.look(tmp_path)
    assert (found.api_host, found.key_of(found.api_host)) == (local.LOCAL_ENGINE, local.GUEST_KEY)


def test_the_operators_commands_use_what_runs(running: Path, tmp_path: Path) -> None:
    options = _parser().parse_args(["x", "--state", str(running)])
    links = resolve(options, environment={})
    assert (links.api_host, links.api_key, links.params["redis_url"]) == ("http://127.0.0.1:4711", "uuid:drawn", "redis://127.0.0.1:2")
    (tmp_path / "key").write_text("uuid:mine\n")
    assert resolve(options, environment={"HORT_AUTH": f"@{tmp_path / 'key'}"}).api_key == "uuid:mine"
    options = _parser().parse_args(["x", "--state", str(running), "--apihost", "openwhisk.example"])
    with pytest.raises(NotConnected, match=r"openwhisk\.example needs a key"):
        resolve(options, environment={})
