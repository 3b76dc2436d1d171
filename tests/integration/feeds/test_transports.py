"""TLS, client certificates, passwords and WebSockets: a mosquitto of this test's own."""

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hort.payload import LARGEST_PAYLOAD_BYTES
from lib.stack import probes
from lib.stack.ports import free_port
from tests.support.polling import wait_until
from tests.support.provider import Consumer, Provider, publish, publisher

FAST = {"max_fires_per_minute": 600, "linger_ms": 20}
DAY = timedelta(days=1)


@dataclass
class Broker:
    ports: dict[str, int]
    ca: str
    client_cert: str
    client_key: str

    def url(self, kind: str) -> str:
        scheme = {"plain": "mqtt", "tls": "mqtts", "ws": "ws", "wss": "wss"}[kind]
        return f"{scheme}://127.0.0.1:{self.ports[kind]}"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("broker")
    ca_cert, ca_key = certificate("test authority", None)
    server_cert, server_key = certificate("127.0.0.1", (ca_cert, ca_key))
    client_cert, client_key = certificate("device", (ca_cert, ca_key))
    for name, cert, key in (("ca", ca_cert, ca_key), ("server", server_cert, server_key)):
        (folder / f"{name}.pem").write_text(pem(cert))
        (folder / f"{name}.key").write_text(key_pem(key))
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), "me", "right-password"], check=True)
    process, ports = started(folder)
    yield Broker(ports, pem(ca_cert), pem(client_cert), key_pem(client_key))
    process.terminate()
    process.wait(60)


def started(folder: Path) -> tuple["subprocess.Popen[bytes]", dict[str, int]]:
    """mosquitto on free ports; on others where somebody was quicker."""
    for _ in range(5):
        ports = {kind: free_port() for kind in ("plain", "tls", "ws", "wss")}
        configure(folder, ports)
        process = subprocess.Popen(["mosquitto", "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
        wait_until(partial(listens_or_ended, process, ports), what="mosquitto listens")
        if process.poll() is None:
            return process, ports
    raise AssertionError("mosquitto did not start on five sets of free ports")


def listens_or_ended(process: "subprocess.Popen[bytes]", ports: dict[str, int]) -> bool:
    return process.poll() is not None or all(map(open_port, ports.values()))


def configure(folder: Path, ports: dict[str, int]) -> None:
    tls = f"cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
    parts = [
        f"per_listener_settings true\nlistener {ports['plain']} 127.0.0.1\npassword_file {folder}/passwords\n",
        f"listener {ports['tls']} 127.0.0.1\n{tls}require_certificate true\nallow_anonymous true\n",
        f"listener {ports['ws']} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n",
        f"listener {ports['wss']} 127.0.0.1\nprotocol websockets\n{tls}allow_anonymous true\n",
    ]
    (folder / "mosquitto.conf").write_text("user root\n" + "".join(parts))


def open_port(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(name: str, issuer: Pair | None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signer_key = issuer or (None, key)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False)
    )
    if name[0].isdigit():
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), critical=False)
    return builder.sign(signer_key, hashes.SHA256()), key


def pem(cert: x509.Certificate) -> str:
    return cert.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.fixture
def send(broker: Broker) -> Callable[[str, list[bytes]], None]:
    def send(topic: str, payloads: list[bytes]) -> None:
        with publisher(broker.url("plain"), username="me", password="right-password") as client:
            publish(client, topic, payloads)

    return send


def test_password(
    provider: Provider, consumer: Consumer, broker: Broker, send: Callable[..., None], topic_root: str
) -> None:
    login = {"username": "me", "password": "right-password"}
    provider.create(url=broker.url("plain"), topics=topic_root, **login, **FAST)
    send(topic_root, [b"a"])
    wait_until(lambda: consumer.payloads == [b"a"], what="delivered")


def test_wrong_password_is_told(provider: Provider, broker: Broker) -> None:
    login = {"username": "me", "password": "wrong-password"}
    answer = provider.call("POST", {"params": {"url": broker.url("plain"), "topics": "a", **login}})
    assert answer.status_code == 200
    wait_until(lambda: "refused: Not authorized" in provider.read()["connection"], what="the reason is told")


@pytest.mark.parametrize("kind", ["tls", "ws", "wss"])
def test_transport(
    provider: Provider, consumer: Consumer, broker: Broker, send: Callable[..., None], topic_root: str, kind: str
) -> None:
    options = {"tls_ca": broker.ca} if kind in ("tls", "wss") else {}
    if kind == "tls":
        options |= {"tls_cert": broker.client_cert, "tls_key": broker.client_key}
    provider.create(url=broker.url(kind), topics=topic_root, **options, **FAST)
    sent = [b"%d" % number * 50 for number in range(500)] + [b"x" * 300_000]
    send(topic_root, sent)
    wait_until(lambda: sorted(consumer.payloads) == sorted(sent), timeout_s=120, what="delivered")
    wait_until(lambda: provider.metric("acked_total") == len(sent), what="acknowledged")


def test_unknown_authority_is_refused_unless_insecure(provider: Provider, broker: Broker) -> None:
    pair = {"tls_cert": broker.client_cert, "tls_key": broker.client_key}
    provider.call("POST", {"params": {"url": broker.url("tls"), "topics": "a", **pair}})
    wait_until(lambda: "certificate verify failed" in provider.read()["connection"], what="the reason is told")
    provider.call("PUT", {"params": {"tls_insecure": True}})
    provider.wait_connected()


def test_pem_texts_are_checked_at_once(provider: Provider, broker: Broker) -> None:
    answer = provider.call("POST", {"params": {"url": broker.url("tls"), "topics": "a", "tls_ca": "no pem"}})
    assert (answer.status_code, "tls_ca" in answer.json()["error"]) == (400, True)
    assert issubclass(ssl.SSLError, OSError)


def test_a_message_longer_than_any_feed_takes_is_cut_and_the_next_flows(
    provider: Provider, consumer: Consumer, broker: Broker, send: Callable[..., None], topic_root: str
) -> None:
    login = {"username": "me", "password": "right-password"}
    provider.create(url=broker.url("plain"), topics=topic_root, **login, **FAST)
    send(topic_root, [b"x" * (LARGEST_PAYLOAD_BYTES + 3_000_000), b"next"])
    wait_until(lambda: sorted(map(len, consumer.payloads)) == [4, LARGEST_PAYLOAD_BYTES + 1], what="the piece and the next message")
    assert provider.metric("cut_total") == 1
    wait_until(lambda: provider.read()["journal"]["batches"] == 0, what="done")
    assert provider.metric("mqtt_lost_total") == 0


def test_the_stack_s_probe_logs_in_as_the_feed_will(broker: Broker, tmp_path: Path) -> None:
    login = {"HORT_MQTT_USERNAME": "me", "HORT_MQTT_PASSWORD": "right-password"}
    assert probes.mqtt(broker.url("plain"), login) is None
    assert probes.mqtt(broker.url("plain"), {**login, "HORT_MQTT_PASSWORD": "wrong"}) == "not authorised"
    pair = {"HORT_MQTT_TLS_CA": broker.ca, "HORT_MQTT_TLS_CERT": broker.client_cert, "HORT_MQTT_TLS_KEY": broker.client_key}
    files = {name: str(tmp_path / name) for name in pair}
    for name, text in pair.items():
        (tmp_path / name).write_text(text)
    assert [probes.mqtt(broker.url("tls"), given) for given in (pair, files)] == [None, None]
    assert probes.mqtt(broker.url("tls")) is not None
