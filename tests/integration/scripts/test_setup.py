import os
import subprocess
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.engine import Engine
from tests.support.paths import ROOT, SCRIPTS
from tests.support.services import environment


def test_a_second_setup_changes_nothing_and_says_nothing() -> None:
    first = subprocess.run(
        [str(SCRIPTS / "setup")], env=environment(), capture_output=True, text=True, timeout=900, check=False
    )
    assert first.returncode == 0, first.stderr
    second = subprocess.run(
        [str(SCRIPTS / "setup")], env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_an_unknown_part_is_named() -> None:
    done = subprocess.run(
        [str(SCRIPTS / "setup"), "kafka"], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "unknown argument: kafka" in done.stderr


def test_a_failed_step_shows_the_end_of_its_output_and_leaves_no_half_made_environment(
    tmp_path: Path,
) -> None:
    broken = tmp_path / "python3.11"
    broken.write_text("#!/bin/sh\ncase $1 in -m) echo no room on the disk; exit 7;; esac\nexit 0\n")
    broken.chmod(0o755)
    env = environment(HORT_CACHE=str(tmp_path / "cache"), HORT_BASE_PYTHON=str(broken), HORT_PROFILE="run")
    done = subprocess.run(
        [str(SCRIPTS / "setup"), "python"], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert "no room on the disk" in done.stderr
    assert not list((tmp_path / "cache").glob("venv-*/.complete"))


@pytest.mark.parametrize(
    "script", sorted(path.name for path in SCRIPTS.iterdir() if path.is_file() and os.access(path, os.X_OK))
)
def test_scripts_are_short_and_pass_the_shells_syntax_check(script: str) -> None:
    text = (SCRIPTS / script).read_text()
    assert subprocess.run(["bash", "-n", str(SCRIPTS / script)], check=False).returncode == 0
    assert len(text.splitlines()) <= 60


def test_no_committed_file_of_ours_names_a_registry_or_this_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "scripts", "requirements", ".ci"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split():
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace") if (ROOT / name).exists() else ""
        for word in (
            "pypi" + ".org",
            "registry.npm" + "js",
            "maven" + ".org",
            "proxy.golang" + ".org",
            "/wo" + "rk/",
        ):
            assert word not in text, f"{name} names {word}"


def test_the_real_wsk_lists_what_the_npm_client_creates(whisk: Engine, tmp_path: Path) -> None:
    code = """
        const ow = require("openwhisk")({apihost: process.argv[1], api_key: process.argv[2], ignore_certs: true})
        ow.triggers.update({name: "made-by-npm"}).then(t => console.log(t.name), e => { console.error(e); process.exit(1) })
    """
    env = environment(NODE_PATH=str(tools.node_modules()))
    made = subprocess.run(
        ["node", "-e", code, whisk.apihost, whisk.auth],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (made.returncode, made.stdout) == (0, "made-by-npm\n"), made.stderr
    (tmp_path / "wskprops").write_text(f"APIHOST={whisk.apihost}\nAUTH={whisk.auth}\n")
    env = environment(WSK_CONFIG_FILE=str(tmp_path / "wskprops"), HOME=str(tmp_path))
    listed = subprocess.run(
        [str(tools.wsk()), "trigger", "list"],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert "/guest/made-by-npm" in listed.stdout
    assert whisk.call("DELETE", "triggers/made-by-npm")[0] == 200
