"""An engine that speaks HTTPS with a certificate of its own."""

import http.client
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from localwhisk import self_signed, tls
from tests.support import tools
from tests.support.engine import GUEST_KEY, Engine
from tests.support.paths import SCRIPTS
from tests.support.polling import wait_until
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


def pair(folder: Path) -> None:
    """Write a pair of the user's own."""
    folder.mkdir(parents=True)
    made = ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt"), "-days", "1", "-subj", "/CN=own"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *made], check=True, capture_output=True)


def encrypt(key: Path) -> None:
    argv = ["openssl", "rsa", "-aes128", "-passout", "pass:x", "-in", str(key), "-out", f"{key}.new"]
    subprocess.run(argv, check=True, capture_output=True)
    Path(f"{key}.new").replace(key)


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on this machine")


@needs_openssl
def test_a_key_without_a_certificate_is_kept_and_gets_one(tmp_path: Path) -> None:
    key, certificate = (tmp_path / name for name in ("tls.key", "tls.crt"))
    pair(tmp_path / "own")
    (tmp_path / "own" / "tls.key").rename(key)
    before = key.read_bytes()
    tls.context(tmp_path, "127.0.0.1")
    assert key.read_bytes() == before
    first = certificate.read_text()
    certificate.unlink()
    tls.context(tmp_path, "127.0.0.1")
    assert key.read_bytes() == before
    assert certificate.read_text() != first, "a certificate that is taken away is renewed"


def expire(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    monkeypatch.setattr(self_signed, "_VALID", timedelta(days=days))


def names_of(certificate: Path) -> set[str]:
    reader = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    reader.load_verify_locations(certificate)
    found: Any = reader.get_ca_certs()[0]
    return {name for _, name in found["subjectAltName"]}


def test_the_engines_own_certificate_is_drawn_anew_before_it_expires_and_for_another_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = (tmp_path / name for name in ("tls.key", "tls.crt"))
    with monkeypatch.context() as short:
        expire(short, 29)
        tls.context(tmp_path, "127.0.0.1")
    drawn = [key.read_bytes(), certificate.read_bytes()]
    for host in ("127.0.0.1", "::1", "localhost", "0:0:0:0:0:0:0:1"):
        tls.context(tmp_path, host)
    renewed = certificate.read_bytes()
    assert renewed != drawn[1]
    tls.context(tmp_path, "127.0.0.1")
    assert certificate.read_bytes() == renewed, "it has ten years"
    tls.context(tmp_path, "board.example")
    assert "board.example" in names_of(certificate)
    tls.context(tmp_path, "fe80::1")
    assert "FE80:0:0:0:0:0:0:1" in names_of(certificate)
    assert key.read_bytes() == drawn[0]


@needs_openssl
def test_a_certificate_of_ones_own_that_has_expired_is_told_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair(tmp_path / "own")
    before = (tmp_path / "own" / "tls.crt").read_bytes()
    tls.context(tmp_path / "own", "other.example")
    assert not [line for line in caplog.messages if "expired" in line]
    later = time.time() + 2 * 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    tls.context(tmp_path / "own", "127.0.0.1")
    assert [line for line in caplog.messages if "tls.crt has expired (" in line]
    assert (tmp_path / "own" / "tls.crt").read_bytes() == before


@needs_openssl
def test_a_key_that_others_may_read_is_taken_from_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pair(tmp_path / "own")
    key = tmp_path / "own" / "tls.key"
    key.chmod(0o644)
    tls.context(tmp_path / "own", "127.0.0.1")
    assert key.stat().st_mode & 0o777 == 0o600
    assert "could be read by others" in caplog.text


def test_plain_http_to_the_port_of_https_is_told_once(new_whisk: NewWhisk) -> None:
    whisk = new_whisk("--tls")
    host = whisk.apihost.removeprefix("https://")
    for _ in range(3):
        client = http.client.HTTPConnection(host, timeout=60)
        client.request("GET", "/ping")
        with pytest.raises((http.client.HTTPException, OSError)):
            client.getresponse()
    wait_until(lambda: "a client sent plain HTTP" in whisk.log(), what="the line")
    assert whisk.log().count("a client sent plain HTTP") == 1


def take_key(folder: Path) -> None:
    (folder / "tls.key").unlink()


def lock_key(folder: Path) -> None:
    encrypt(folder / "tls.key")


def lock_key_alone(folder: Path) -> None:
    lock_key(folder)
    (folder / "tls.crt").unlink()


def spoil_key_alone(folder: Path) -> None:
    (folder / "tls.key").write_text("x")
    (folder / "tls.crt").unlink()


def make_key_a_folder(folder: Path) -> None:
    (folder / "tls.crt").unlink()
    take_key(folder)
    (folder / "tls.key").mkdir()


FAULTS: dict[Callable[[Path], None], str] = {
    take_key: r"tls\.crt has no key: .*tls\.key is missing",
    lock_key: r"tls\.key are no certificate with its key: the key has a passphrase",
    lock_key_alone: r"tls\.key are no certificate with its key: Password was not given",
    spoil_key_alone: r"tls\.key are no certificate with its key: ",
    make_key_a_folder: r"tls\.key are no certificate with its key: .*Is a directory",
}


@needs_openssl
@pytest.mark.parametrize(("spoil", "told"), FAULTS.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_wrong_with_a_pair_of_ones_own_is_told_without_a_question(
    tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    folder = tmp_path / "own"
    pair(folder)
    spoil(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(OSError, match=told):
        tls.context(folder, "127.0.0.1")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


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
