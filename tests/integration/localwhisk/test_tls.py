"""An engine that speaks HTTPS with a certificate of its own."""

import http.client
import ssl
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.engine import GUEST_KEY, Engine
from tests.support.paths import SCRIPTS
from tests.support.services import environment

NewWhisk = Callable[..., Engine]


def ping(whisk: Engine, context: ssl.SSLContext) -> bytes:
    client = http.client.HTTPSConnection(whisk.apihost.removeprefix("https://"), context=context, timeout=60)
    try:
        client.request("GET", "/ping", headers={"Connection": "close"})
        return client.getresponse().read()
    finally:
        client.close()


def test_clients_that_trust_its_certificate_reach_it(new_whisk: NewWhisk) -> None:
    whisk = new_whisk("--tls")
    certificate, key = (whisk.state / "entities" / name for name in ("tls.crt", "tls.key"))
    assert whisk.apihost.startswith("https://127.0.0.1:")
    assert key.stat().st_mode & 0o777 == 0o600
    trusting = ssl.create_default_context(cafile=str(certificate))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: ping(whisk, trusting), range(64))) == {b"pong"}
    with pytest.raises(ssl.SSLCertVerificationError):
        ping(whisk, ssl.create_default_context())
    before = certificate.read_text()
    whisk.stop()
    whisk.start()
    assert certificate.read_text() == before, "it is made once"
    assert ping(whisk, trusting) == b"pong"


def test_files_that_are_no_certificate_are_an_error_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "entities").mkdir()
    (tmp_path / "entities" / "tls.crt").write_text("x")
    with pytest.raises(AssertionError, match=r"tls\.key are no certificate with its key") as caught:
        Engine(tmp_path, "--tls")
    assert "Traceback" not in str(caught.value)


def test_wsk_finds_it_by_a_bare_host_and_its_own_commands_without_more(new_whisk: NewWhisk) -> None:
    whisk = new_whisk("--tls")
    host = whisk.apihost.removeprefix("https://")
    login = [str(tools.wsk()), "--apihost", host, "--auth", GUEST_KEY]
    for options, code in ((["-i"], 0), ([], 1)):
        listed = subprocess.run([*login, *options, "action", "list"], capture_output=True, timeout=90, check=False)
        assert (listed.returncode == 0) is (code == 0), listed.stdout + listed.stderr
    status = [str(SCRIPTS / "whisk"), "status", "--state", str(whisk.state / "entities")]
    done = subprocess.run(status, capture_output=True, text=True, env=environment(), timeout=90, check=False)
    assert whisk.apihost in done.stdout
    assert done.returncode == 0
