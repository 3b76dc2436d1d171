"""The commands of scripts/whisk beside a real engine."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.engine import Engine
from tests.support.paths import SCRIPTS
from tests.support.polling import wait_until
from tests.support.services import environment

NewWhisk = Callable[..., Engine]
CODE = "def main(args):\n    print('said', args.get('n'))\n    assert 'n' in args, 'no n'\n    return args\n"


def command(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [str(SCRIPTS / "whisk"), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=90,
        check=False,
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_help_names_every_command() -> None:
    shown = command("--help")
    assert all(name in shown for name in ("serve", "status", "logs", "stop", "reset", "wskprops"))


def test_the_life_of_an_engine_by_its_commands(new_whisk: NewWhisk, tmp_path: Path) -> None:
    properties = tmp_path / "wskprops"
    whisk = new_whisk("--wskprops", str(properties))
    assert f"APIHOST={whisk.apihost}\n" in properties.read_text()
    state = ("--state", str(whisk.state / "entities"))
    assert properties.read_text() == command("wskprops", *state)

    whisk.call("PUT", "actions/say", {"exec": {"kind": "python:3.11", "code": CODE}})
    whisk.call("POST", "actions/say?blocking=true", {"n": 1})
    found = json.loads(command("status", *state, "--json"))
    assert (found["actions"], found["activations"], found["pid"]) == (1, 1, whisk.pid)
    assert whisk.apihost in command("status", "--apihost", whisk.apihost)
    assert "401" in command("status", *state, "--auth", "00000000-0000-0000-0000-000000000000:x", code=3)

    assert "stop it first" in command("reset", *state, "--yes", code=1)
    assert "stopped" in command("stop", *state)
    assert "not running" in command("status", *state, code=3)
    assert "said 1" in command("logs", *state)
    assert "--yes" in command("reset", *state, code=1)
    assert "empty" in command("reset", *state, "--yes")
    whisk.start()
    assert whisk.call("GET", "actions") == (200, [])


def test_no_other_user_reads_what_the_engine_and_its_actions_write(new_whisk: NewWhisk, tmp_path: Path) -> None:
    whisk = new_whisk()
    entities = whisk.state / "entities"
    whisk.stop()
    (entities / "localwhisk.sqlite").chmod(0o644)  # as an engine of before left it
    whisk.start()
    made = tmp_path / "made"
    code = "def main(args):\n    open(args['path'], 'w').close()\n    return {}\n"
    whisk.call("PUT", "actions/makes", {"exec": {"kind": "python:3.11", "code": code}})
    assert whisk.call("POST", "actions/makes?blocking=true", {"path": str(made)})[0] == 200
    found = [entities, *entities.rglob("*"), made]
    assert any(path.name.endswith("-wal") for path in found)
    assert any(path.match("runtimes/code/*/*") for path in found), "the code was unpacked"
    assert [path for path in found if path.lstat().st_mode & 0o077 and not path.is_symlink()] == []


def test_an_engine_with_a_key_of_its_own(new_whisk: NewWhisk, tmp_path: Path) -> None:
    key = tmp_path / "guest.key"
    assert str(key) in command("key", str(key))
    assert key.stat().st_mode & 0o777 == 0o600
    assert "is there already" in command("key", str(key), code=1)
    whisk = new_whisk("--identity", f"guest=@{key}")
    assert whisk.call("GET", "actions")[0] == 401, "with the public key"
    whisk.auth = key.read_text().strip()
    assert whisk.call("GET", "actions") == (200, [])
    state = ("--state", str(whisk.state / "entities"))
    assert f"AUTH={whisk.auth}\n" in command("wskprops", *state)
    assert "guest: 0 packages" in command("status", *state)
    assert "guest: 0 packages" in command("status", "--apihost", whisk.apihost, "--auth", f"@{key}")
    assert whisk.auth not in Path(f"/proc/{whisk.pid}/cmdline").read_text()
    assert "process list" not in whisk.log()


def test_where_others_reach_the_engine_it_wants_a_key_of_its_own() -> None:
    assert "--identity guest=@FILE" in command("serve", "--port", "0", "--host", "0.0.0.0", code=2)


def test_a_second_engine_over_the_same_state_is_refused(new_whisk: NewWhisk) -> None:
    whisk = new_whisk()
    refused = command("serve", "--port", "0", "--state", str(whisk.state / "entities"), code=1)
    assert "runs already" in refused
    assert "Traceback" not in refused


def test_logs_follow_what_ends(new_whisk: NewWhisk) -> None:
    whisk = new_whisk("--limits", "raised")
    whisk.call("PUT", "actions/say", {"exec": {"kind": "python:3.11", "code": CODE}})
    whisk.call("POST", "actions/say?blocking=true", {"n": 0})
    argv = [str(SCRIPTS / "whisk"), "logs", "-f", "-n", "0", "say", "--state", str(whisk.state / "entities")]
    out = whisk.state / "followed"
    with out.open("wb") as file:
        following = subprocess.Popen(argv, stdout=file, env=environment())
    try:
        sent = iter(range(1, 10_000))

        def seen() -> bool:
            number = next(sent)
            whisk.call("POST", "actions/say?blocking=true", {"n": number} if number % 2 else {})
            shown = out.read_text()
            return all(word in shown for word in (" guest/say success ", "said", "error: no n"))

        wait_until(seen, what="followed lines")
    finally:
        following.terminate()
        following.wait(60)
    assert "said 0" not in out.read_text()


def test_logs_and_serve_name_an_activation_alike_and_print_no_control_characters(new_whisk: NewWhisk) -> None:
    whisk = new_whisk("--limits", "raised")
    code = "def main(args):\n    print('\x1b[31mred')\n    return {'error': '\x1b]0;title\x07'}\n"
    whisk.call("PUT", "packages/p", {})
    whisk.call("PUT", "actions/p/says", {"exec": {"kind": "python:3.11", "code": code}})
    whisk.call("PUT", "packages/bound", {"binding": {"namespace": "guest", "name": "p"}})
    whisk.call("POST", "actions/bound/says?blocking=true", {})
    whisk.call("POST", "/../whisk.system/actions/alarms/alarm?blocking=true", {"lifecycleEvent": "READ"})
    shown = command("logs", "--state", str(whisk.state / "entities"))
    assert "\\x1b[31mred" in shown
    assert "error: \\x1b]0;title\\x07" in shown
    assert "\x1b" not in shown + whisk.log()
    lines = [one for one in shown.splitlines() if not one.startswith("    ")]
    assert [one.split()[1] for one in lines] == ["guest/p/says", "whisk.system/alarms/alarm"]
    assert all(one in whisk.log() for one in lines)
