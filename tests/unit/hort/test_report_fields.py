import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hort import clock, photos, report_fields
from hort.errors import ReportError
from tests.support import pictures

NOW = 1_790_000_000_000
JPEG = pictures.encoded(pictures.quarters())
PHOTO = base64.b64encode(JPEG).decode()


def read(**values: Any) -> report_fields.Report:
    return report_fields.read({"image": PHOTO, **values}, now=NOW)


def test_all_fields_are_taken() -> None:
    report = read(
        id="report-1", time="2026-05-04T17:03:00-05:00", place={"lat": 41, "lon": -87.5, "text": " Clark "}, company="UPS",
        note="a\nb\x00c", country=["us", "eu"], n=3, detect_region=True, region="il",
    )  # fmt: skip
    assert report.report_id == "report-1"
    assert report.facts == {
        "id": "report-1", "time": "2026-05-04T22:03:00.000Z", "place": {"lat": 41.0, "lon": -87.5, "text": "Clark"},
        "company": "UPS", "note": "a\nbc",
    }  # fmt: skip
    assert report.reading == {"country": ["us", "eu"], "n": 3, "detect_region": True, "region": "il"}
    assert (report.photo, report.url) == (JPEG, None)


def test_only_a_photo_is_needed() -> None:
    report = read(time="", place=None, company="", note="")
    assert report.facts == {"id": report.report_id}
    assert len(report.report_id) == 32
    assert read().report_id != report.report_id


@pytest.mark.parametrize("text", [f"data:image/jpeg;base64,{PHOTO}", PHOTO.rstrip("="), PHOTO[:40] + "\n" + PHOTO[40:], base64.urlsafe_b64encode(JPEG).decode()])
def test_base64_comes_in_many_forms(text: str) -> None:
    assert read(image=text).photo == JPEG


def test_a_photo_may_be_an_address() -> None:
    report = report_fields.read({"url": "https://photos.example/1.jpg?token=x"}, now=NOW)
    assert (report.photo, report.url) == (None, "https://photos.example/1.jpg?token=x")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"image": None}, "image"),
        ({"url": "http://x.example/"}, "image"),
        ({"image": 7}, "image"),
        ({"image": "%%%"}, "image"),
        ({"image": "AAAA"}, "image"),
        ({"image": None, "url": "ftp://x.example/"}, "url"),
        ({"image": None, "url": "http://u:p@x.example/"}, "url"),
        ({"image": None, "url": 7}, "url"),
        ({"id": "short"}, "id"),
        ({"id": "-" * 10}, "id"),
        ({"id": "a/../../b"}, "id"),
        ({"id": 12345678}, "id"),
        ({"time": "soon"}, "time"),
        ({"time": clock.iso(NOW + 2 * 86_400_000)}, "time"),
        ({"time": -1}, "time"),
        ({"time": True}, "time"),
        ({"place": "Chicago"}, "place"),
        ({"place": {"lat": 1, "lon": 2, "height": 3}}, "place"),
        ({"place": {"lat": 1}}, "place.lon"),
        ({"place": {"lon": 1}}, "place.lat"),
        ({"place": {"lat": 90.1, "lon": 0}}, "place.lat"),
        ({"place": {"lat": 0, "lon": float("inf")}}, "place.lon"),
        ({"place": {"lat": True, "lon": 0}}, "place.lat"),
        ({"place": {"lat": "41", "lon": 0}}, "place.lat"),
        ({"place": {"text": "x" * 501}}, "place.text"),
        ({"company": "x" * 201}, "company"),
        ({"company": ["UPS"]}, "company"),
        ({"note": "x" * 2001}, "note"),
        ({"country": "../us"}, "country"),
        ({"country": ["us"] * 9}, "country"),
        ({"region": {"a": 1}}, "region"),
        ({"n": 0}, "n"),
        ({"n": "5"}, "n"),
        ({"detect_region": "yes"}, "detect_region"),
        ({"allow_private": True}, "allow_private"),
        ({"report": {}}, "report"),
    ],
)
def test_what_cannot_be_used_is_named(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ReportError) as told:
        read(**values)
    assert (told.value.field, told.value.status) == (field, 422)
    assert f"'{field}'" in str(told.value)


def test_a_photo_that_is_too_large_is_a_413() -> None:
    largest = JPEG + bytes(photos.MAX_PHOTO_BYTES - len(JPEG))
    assert read(image=base64.b64encode(largest).decode()).photo == largest
    with pytest.raises(ReportError, match="at most 750000 bytes") as told:
        read(image=base64.b64encode(largest + b"x").decode())
    assert told.value.status == 413


def test_the_digest_tells_reports_apart() -> None:
    one = read(id="report-1", note="a")
    assert one.digest() == read(id="report-1", note="a").digest()
    others = [read(id="report-1"), read(id="report-1", note="a", country="eu"), read(id="report-1", note="a", image=base64.b64encode(JPEG + b"x").decode())]
    assert len({report.digest() for report in [one, *others]}) == 4


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["lat", "lon", "text", "x"]), inner, max_size=4),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a loaded machine is no finding
@given(st.dictionaries(st.sampled_from(report_fields.FIELDS), json_values, max_size=6))
def test_no_report_ends_in_anything_but_a_report_or_a_named_field(values: dict[str, Any]) -> None:
    try:
        report = read(**values)
    except ReportError as error:
        assert error.field  # noqa: PT017
    else:
        assert report.digest()
