import hashlib
import hmac
import json
from typing import Any

import pytest

from hort import redaction
from hort.errors import ConfigError
from hort.redaction import Redaction
from tests.support.plates_suite import answer

KEY = "0123456789abcdef"


def test_nothing_is_redacted_unless_asked_for() -> None:
    assert redaction.of({}) is None
    assert redaction.of({"redact": "", "redact_key": ""}) is None
    assert redaction.of({"redact": "false", "redact_key": KEY}) is None


def test_an_empty_switch_does_not_switch_off_what_there_is_a_key_for() -> None:
    for params in ({"redact": "", "redact_key": KEY}, {"redact_key": KEY}, {"redact": None, "redact_key": KEY}):
        assert redaction.of(params) is not None


@pytest.mark.parametrize("word", ["ture", "ja", " ", "2", "null", []])
def test_an_odd_switch_is_refused_by_its_name(word: object) -> None:
    with pytest.raises(ConfigError, match="parameter 'redact'"):
        redaction.of({"redact": word, "redact_key": KEY})
    assert redaction.applied(answer(), None) == answer()


@pytest.mark.parametrize("params", [{"redact": True}, {"redact": "true", "redact_key": "x" * 15}])
def test_a_key_that_is_short_or_missing_is_told_without_it(params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"redact_key.*16 bytes") as told:
        redaction.of(params)
    assert "xxx" not in str(told.value)


def test_the_same_plate_has_the_same_digest_however_it_is_written() -> None:
    found = redaction.of({"redact": "true", "redact_key": KEY})
    assert found is not None
    expected = hmac.new(KEY.encode(), b"AB1234", hashlib.sha256).hexdigest()
    assert {found.digest(plate) for plate in ("AB1234", "ab 12-34", " a_b.1234")} == {expected}
    assert found.digest("ÄB1234") != expected
    assert KEY not in repr(found)


def test_no_reading_is_left_in_an_answer() -> None:
    redacted = redaction.applied(answer("AB1234", plates=["AB1234"]) | {"plates": None}, Redaction(KEY.encode()))
    assert "AB1234" not in json.dumps(redacted)
    assert "AB123B" not in json.dumps(redacted)
    assert redacted["results"][0]["coordinates"] == answer()["results"][0]["coordinates"]
    assert redacted["redacted"] is True


def test_redacting_twice_changes_nothing() -> None:
    once = redaction.applied(answer(), Redaction(KEY.encode()))
    assert redaction.applied(once, Redaction(KEY.encode())) == once


def test_a_photo_without_a_plate_stays_without() -> None:
    assert redaction.applied({"plate": None, "results": []}, Redaction(KEY.encode()))["plate"] is None
