import base64
from typing import Any

import pytest

from hort import urls
from plates import contract, limits
from plates.contract import Options, Trained
from plates.errors import CODES, Refused

TRAINED = Trained(("eu", "gb", "us"), {"us": ["ca", "il"], "eu": ["de"], "gb": []})
BYTES = b"\xff\xd8\xff photo"
PHOTO = base64.b64encode(BYTES).decode()


def refusal(**params: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        contract.read(params, TRAINED)
    assert caught.value.code in CODES
    assert caught.value.reason
    return caught.value.code, caught.value.field


def options(**params: Any) -> Options:
    return contract.read({"image": PHOTO, **params}, TRAINED).options


def test_defaults() -> None:
    request = contract.read({"image": PHOTO}, TRAINED)
    assert request.image == BYTES
    assert request.url is None
    assert request.options == Options(("us",), 5, None, detect_region=False, prewarp=None)
    assert request.timeout_ms == contract.DEFAULT_TIMEOUT_MS
    assert request.policy == urls.PUBLIC


@pytest.mark.parametrize(
    "text",
    [
        PHOTO,
        PHOTO.rstrip("="),
        "\n".join(PHOTO),
        base64.urlsafe_b64encode(BYTES).decode(),
        "data:image/jpeg;base64," + PHOTO,
        "DATA:image/png;charset=utf-8;base64," + PHOTO,
        "data:;base64," + PHOTO,
    ],
)
def test_an_image_may_be_base64_of_any_dress(text: str) -> None:
    assert contract.read({"image": text}, TRAINED).image == BYTES


@pytest.mark.parametrize("value", ["%%%%", "abc\u00e9", 7, ["x"], "data:image/png,abc", "data:text/html", "A"])
def test_an_image_that_is_no_base64(value: object) -> None:
    assert refusal(image=value) == ("not-base64", "image")


def test_too_long_an_image_is_refused_before_it_is_decoded() -> None:
    assert refusal(image="A" * (limits.MAX_BYTES * 3 // 2)) == ("too-many-bytes", "image")


def test_one_of_url_and_image() -> None:
    assert refusal() == ("no-image", "image")
    assert refusal(url="", image="") == ("no-image", "image")
    assert refusal(url=None) == ("no-image", "image")
    assert refusal(url="http://x/", image=PHOTO) == ("both-given", "image")
    assert refusal(url=5) == ("bad-parameter", "url")


@pytest.mark.parametrize(("value", "wanted"), [(1, 1), (50, 50), ("7", 7), (3.0, 3), (None, 5), ("", 5)])
def test_n(value: object, wanted: int) -> None:
    assert options(n=value).n == wanted


@pytest.mark.parametrize("value", [0, 51, -1, 2.5, "x", "1e1", True, [1], float("nan"), float("inf"), "9" * 5000])
def test_bad_n(value: object) -> None:
    assert refusal(image=PHOTO, n=value) == ("bad-n", "n")


@pytest.mark.parametrize(
    ("value", "wanted"), [("eu", ("eu",)), ("US, eu,us", ("us", "eu")), (["gb", "us"], ("gb", "us")), (None, ("us",)), ("", ("us",))]
)
def test_country(value: object, wanted: tuple[str, ...]) -> None:
    assert options(country=value).country == wanted


@pytest.mark.parametrize("value", ["zz", ["us", "zz"], 5, [5], [], " , ", ["us", "eu", "gb", "us", "a"], "../us", {"us": 1}])
def test_unknown_country(value: object) -> None:
    assert refusal(image=PHOTO, country=value) == ("unknown-country", "country")


def test_region_belongs_to_one_of_the_countries() -> None:
    assert options(region="CA").region == "ca"
    assert options(region="de", country=["us", "eu"]).region == "de"
    assert refusal(image=PHOTO, region="de") == ("unknown-region", "region")
    assert refusal(image=PHOTO, region=3) == ("unknown-region", "region")


def test_detect_region_is_a_truth() -> None:
    assert options(detect_region="true").detect_region
    assert refusal(image=PHOTO, detect_region="perhaps") == ("bad-parameter", "detect_region")


def test_prewarp_is_planar_and_nine_numbers() -> None:
    assert options(prewarp="planar, 1280,720,0.1,0,0,1,1,0,0").prewarp == "planar,1280,720,0.1,0,0,1,1,0,0"
    for value in ("planar,1,2", "planar,1,2,3,4,5,6,7,8,x", "cubic,1,2,3,4,5,6,7,8,9", "planar,1,2,3,4,5,6,7,8,nan", 5):
        assert refusal(image=PHOTO, prewarp=value) == ("bad-parameter", "prewarp")


@pytest.mark.parametrize("value", [99, 290_001, "soon", True, 1.5])
def test_bad_timeout(value: object) -> None:
    assert refusal(image=PHOTO, timeout_ms=value) == ("bad-parameter", "timeout_ms")


def test_allow_private_is_a_policy() -> None:
    assert contract.read({"url": "http://x/", "allow_private": True}, TRAINED).policy == urls.Policy(private=True)
    assert refusal(url="http://x/", allow_private="not a network!") == ("bad-parameter", "allow_private")


def test_a_refusal_says_code_field_and_reason() -> None:
    document = Refused("bad-n", "n", "it must be an integer").as_json()
    assert document == {"code": "bad-n", "field": "n", "reason": "it must be an integer", "message": "n: it must be an integer"}
