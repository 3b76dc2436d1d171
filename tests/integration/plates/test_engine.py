"""The plates action in the engine: a blackbox image mapped to the native server."""

import base64
import subprocess
from collections.abc import Callable

import pytest

from localwhisk.runtimes.containers import container_tool
from tests.support import pictures
from tests.support.engine import Engine
from tests.support.plates import PlatesServer
from tests.support.polling import wait_until

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


def test_a_container_of_the_image_reads_photos_and_goes_with_the_engine(new_whisk: Callable[..., Engine]) -> None:
    tool = container_tool()
    if tool is None or subprocess.run([tool, "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        pytest.skip(f"no container is tried: podman or docker with the image {IMAGE} is not here (./scripts/images build)")
    whisk = new_whisk()
    limits = {"memory": 512, "timeout": 120_000}
    whisk.call("PUT", "actions/plates", {"exec": {"kind": "blackbox", "image": IMAGE}, "limits": limits})
    _, started = whisk.call("POST", "actions/plates", {"image": JPEG})
    record = wait_until(lambda: whisk.record(started["activationId"]), timeout_s=240, what="the container's answer")
    assert record["response"]["status"] == "success"
    assert record["response"]["result"]["img_width"] == 160
    mine = [tool, "ps", "-aq", "--filter", f"label=localwhisk.state={whisk.state / 'entities' / 'runtimes'}"]
    assert len(subprocess.check_output(mine).split()) == 1
    whisk.stop()
    assert subprocess.check_output(mine) == b""
