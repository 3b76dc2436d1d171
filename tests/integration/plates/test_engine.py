"""The plates action in the engine: a blackbox image mapped to the native server."""

import base64
from collections.abc import Callable

from tests.support import pictures
from tests.support.engine import Engine
from tests.support.plates import PlatesServer

IMAGE = "hort/plates:0.1.0"
JPEG = base64.b64encode(pictures.encoded(pictures.quarters(160, 120))).decode()


def test_a_blackbox_action_reads_photos(new_whisk: Callable[..., Engine], plates: PlatesServer) -> None:
    whisk = new_whisk("--map-image", f"{IMAGE}={plates.url}")
    status, _ = whisk.call("PUT", "actions/plates", {"exec": {"kind": "blackbox", "image": IMAGE}})
    assert status == 200
    status, record = whisk.call("POST", "actions/plates?blocking=true", {"image": JPEG})
    assert (status, record["response"]["status"]) == (200, "success")
    result = record["response"]["result"]
    assert (result["results"], result["plate"], result["img_width"]) == ([], None, 160)
    for _ in range(2):
        assert whisk.call("POST", "actions/plates?blocking=true&result=true", {"image": JPEG})[0] == 200


def test_a_refusal_is_an_application_error(new_whisk: Callable[..., Engine], plates: PlatesServer) -> None:
    whisk = new_whisk("--map-image", f"{IMAGE}={plates.url}")
    whisk.call("PUT", "actions/plates", {"exec": {"kind": "blackbox", "image": IMAGE}, "parameters": [{"key": "country", "value": "eu"}]})
    status, record = whisk.call("POST", "actions/plates?blocking=true", {"image": JPEG, "n": 99})
    assert (status, record["response"]["status"]) == (502, "application error")
    assert record["response"]["result"]["error"]["code"] == "bad-n"
