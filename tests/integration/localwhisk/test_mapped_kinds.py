"""Kinds that the engine lacks, served by a user's command, through the real wsk."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.engine import Engine
from tests.support.paths import ROOT
from tests.support.polling import wait_until
from tests.support.whisk_tool import Tool, status

NewWhisk = Callable[..., Engine]
PROXY = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'tests' / 'support' / 'action_proxy.py'))} {{port}}"


def test_wsk_runs_actions_of_a_kind_and_of_an_image_that_are_mapped_to_a_command(new_whisk: NewWhisk, folder: Path) -> None:
    whisk = new_whisk("--map-image", f"php:8.1={PROXY}", "--map-image", f"someone/box={PROXY}", "--map-image", "ruby:2.5=/bin/false")
    wsk = Tool(whisk, tools.wsk(), folder)
    (folder / "hello.php").write_text("<?php function main() {}")
    wsk("action create hello hello.php")
    wsk("action create box hello.php --docker someone/box:1")
    wsk("action create lost hello.php --kind ruby:2.5")
    pids = []
    for name in ("hello", "box"):
        result = json.loads(wsk(f"action invoke {name} --result --param n 1"))
        assert result["given"] == {"n": 1}
        assert result["code"] == "<?php function main() {}"
        pids.append(result["pid"])
        assert f"stdout: said /guest/{name}" in wsk("activation logs --last")
    refused = wsk("action invoke lost --blocking", code=status(502))
    assert "Cannot start action. Check logs for details." in refused
    assert "which ended with status 1 before it listened on port" in wsk("activation logs --last")
    whisk.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="the end of both, as the engine was killed")


def test_a_command_that_is_not_there_is_told_before_anything_is_served(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"'php-proxy' is neither, got 'php:8.1=php-proxy --port \{port\}'") as caught:
        Engine(tmp_path, "--map-image", "php:8.1=php-proxy --port {port}")
    assert "Traceback" not in str(caught.value)
