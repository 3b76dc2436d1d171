"""Photos that wait in a real Redis, as the reader takes them."""

import socket
import threading
import time
from typing import Any

import pytest
import redis

from hort import keys, seal
from plates import waiting
from plates.errors import Refused
from plates.waiting import Waiting

TOKEN = "a" * 32
OPENS = seal.new_key()


def fetch(url: str, *, max_bytes: int = 1_000_000, seconds: float = 30.0) -> bytes:
    return waiting.fetch(Waiting(url, keys.photo(TOKEN), OPENS), deadline=time.monotonic() + seconds, max_bytes=max_bytes)


def test_a_photo_is_taken_from_redis(redis_url: str, redis_client: "redis.Redis") -> None:
    photo = bytes(range(256)) * 3000 + b"\r\n"
    redis_client.set(keys.photo(TOKEN), seal.crossed(photo, OPENS))
    assert fetch(redis_url) == photo
    assert fetch(redis_url + "/0") == photo
    with pytest.raises(Refused, match="no longer waits"):
        fetch(redis_url + "/3")


def test_a_photo_that_an_earlier_version_took_in_waits_open(redis_url: str, redis_client: "redis.Redis") -> None:
    redis_client.set(keys.photo(TOKEN), b"photo")
    found = waiting.given({"photo": keys.photo(TOKEN), "redis_url": redis_url})
    assert found is not None
    assert waiting.fetch(found, deadline=time.monotonic() + 30, max_bytes=100) == b"photo"


def test_one_that_is_gone_or_too_large(redis_url: str, redis_client: "redis.Redis") -> None:
    with pytest.raises(Refused, match="no longer waits") as told:
        fetch(redis_url)
    assert told.value.field == "photo"
    redis_client.set(keys.photo(TOKEN), b"x" * 11)
    with pytest.raises(Refused, match="failed"):
        fetch(redis_url, max_bytes=10)
    redis_client.delete(keys.photo(TOKEN))
    redis_client.hset(keys.photo(TOKEN), "a", "b")
    with pytest.raises(Refused, match="failed"):
        fetch(redis_url)


def test_a_server_with_a_password(redis_url: str, redis_client: "redis.Redis") -> None:
    redis_client.set(keys.photo(TOKEN), seal.crossed(b"x", OPENS))
    redis_client.acl_setuser("reader", enabled=True, passwords=["+p:ss/w"], keys=["hort:*"], commands=["+get", "+select"])
    try:
        assert fetch(redis_url.replace("redis://", "redis://reader:p%3Ass%2Fw@") + "/0") == b"x"
        with pytest.raises(Refused, match="failed") as told:
            fetch(redis_url.replace("redis://", "redis://reader:wrong@"))
        assert "wrong" not in str(told.value)
    finally:
        redis_client.acl_deluser("reader")


def test_a_server_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(Refused) as told:
            fetch(f"redis://127.0.0.1:{server.getsockname()[1]}", seconds=1)
        assert told.value.code == "download-too-slow"


def test_a_server_that_is_away_or_talks_nonsense() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        url = f"redis://127.0.0.1:{server.getsockname()[1]}"

        def nonsense() -> None:
            for answer in (b"HTTP/1.1 400\r\n\r\n", b"$5\r\nab", b"$99999999999\r\n", b""):
                connection, _ = server.accept()
                with connection:
                    connection.recv(100)
                    connection.sendall(answer)

        threading.Thread(target=nonsense, daemon=True).start()
        for _ in range(4):
            with pytest.raises(Refused) as told:
                fetch(url)
            assert told.value.code == "download-failed"
    with pytest.raises(Refused):
        fetch(url)


@pytest.mark.parametrize(
    "params",
    [
        {"photo": "hort:{0}:journal:x", "redis_url": "redis://x"},
        {"photo": 7, "redis_url": "redis://x"},
        {"photo": keys.photo("short"), "redis_url": "redis://x"},
        {"photo": keys.photo(TOKEN + "\r\nFLUSHALL"), "redis_url": "redis://x"},
        {"photo": keys.photo(TOKEN), "photo_key": OPENS},
        {"photo": keys.photo(TOKEN), "photo_key": OPENS, "redis_url": "http://x"},
        {"photo": keys.photo(TOKEN), "photo_key": OPENS, "redis_url": "redis://x", "__ow_method": "post"},
        {"photo": keys.photo(TOKEN), "photo_key": "", "redis_url": "redis://x"},
        {"photo": keys.photo(TOKEN), "photo_key": OPENS[:-1], "redis_url": "redis://x"},
    ],
)
def test_only_photos_of_reports_are_taken(params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HORT_REDIS_URL", raising=False)
    with pytest.raises(Refused):
        waiting.given(params)


def test_neither_the_address_nor_the_key_shows() -> None:
    found = waiting.given({"photo": keys.photo(TOKEN), "photo_key": OPENS, "redis_url": "redis://u:secret@x"})
    assert found is not None
    assert "secret" not in repr(found)
    assert OPENS not in repr(found)
    assert waiting.given({}) is None
    assert waiting.given({"photo": ""}) is None
