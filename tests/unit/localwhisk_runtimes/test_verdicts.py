"""Each row of the proxy's and the invoker's tables, on bytes alone; sizes as recorded from the real server."""

import pytest

from localwhisk.runtimes import texts, verdicts


def test_an_object_is_a_success_and_its_bytes_are_handed_on() -> None:
    verdict = verdicts.of_line(b'{"ok": 1}\n', 10)
    assert (verdict.status, verdict.result, verdict.result_json, verdict.size) == (
        "success",
        {"ok": 1},
        b'{"ok": 1}',
        10,
    )


def test_an_array_is_a_success() -> None:
    assert verdicts.of_line(b"[1, 2]\n", 7).result == [1, 2]


@pytest.mark.parametrize("value", ["false", "null", '"boom"', "{}"])
def test_any_error_key_is_an_application_error_and_drops_the_others(value: str) -> None:
    line = f'{{"error": {value}, "extra": 1}}\n'.encode()
    verdict = verdicts.of_line(line, len(line))
    assert verdict.status == "application error"
    assert list(verdict.result) == ["error"]  # type: ignore[call-overload]
    assert verdict.size == len(line)
    assert verdict.keeps_process


def test_none_has_its_own_text() -> None:
    verdict = verdicts.of_line(b"null\n", 5)
    assert verdict.status == "action developer error"
    assert verdict.result == {
        "error": "The action did not produce a valid JSON or JSON Array response: null\n"
    }
    assert verdict.size == 5
    assert not verdict.keeps_process


@pytest.mark.parametrize(
    "line", [b'"text"\n', b"5\n", b"true\n", b'{"n": NaN}\n', b'{"n": -Infinity}\n', b"x\n"]
)
def test_what_is_no_dictionary(line: bytes) -> None:
    verdict = verdicts.of_line(line, len(line))
    assert verdict.status == "action developer error"
    assert verdict.result == {"error": "The action did not return a dictionary or array."}


def test_size_counts_utf16_units() -> None:
    line = '{"a": "café 😀"}\n'.encode()
    assert verdicts.of_line(line, len(line)).size == len('{"a": "café ') + 2 + len('"}\n')


def test_integers_beyond_64_bits_keep_their_digits_in_the_raw_bytes() -> None:
    line = b'{"n": 123456789012345678901234567890}\n'
    assert verdicts.of_line(line, len(line)).result_json == line.strip()


def test_deep_nesting_within_python_reach_is_parsed() -> None:
    line = b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}\n"
    assert verdicts.of_line(line, len(line)).status == "success"


def test_a_result_above_the_limit_is_cut_as_the_real_server_cuts_it() -> None:
    line = b'{"x": "' + b"y" * 1_048_586 + b'"}\n'
    kept = line[: texts.RESULT_LIMIT + 1]
    verdict = verdicts.of_line(kept, len(line))
    assert verdict.status == "application error"
    assert verdict.size == 1_048_596
    message = verdict.result["error"]  # type: ignore[index]
    assert message.startswith(
        "The action produced a response that exceeded the allowed length: 1048596 > 1048576 bytes. "
        'The truncated response was: {"x": "yyy'
    )
    assert len(message) == 1_048_576 + 118


@pytest.mark.parametrize(
    ("message", "size"),
    [(texts.COMMAND_EXITED, 27), (texts.CANNOT_START, 57), (texts.NO_CODE, 45)],
)
def test_sizes_of_the_proxys_own_errors(message: str, size: int) -> None:
    assert verdicts.developer_error(message, sized=True).size == size


def test_texts_of_time_limits() -> None:
    assert texts.time_limit(1000, init=False) == "The action exceeded its time limits of 1000 milliseconds."
    assert texts.time_limit(500, init=True) == (
        "The action exceeded its time limits of 500 milliseconds during initialization."
    )


def test_responses_of_servers() -> None:
    assert verdicts.of_run_response(200, b'{"a":1}', 7).status == "success"
    failed = verdicts.of_run_response(502, b'{"error":"bad"}', 15)
    assert (failed.status, failed.result) == ("action developer error", {"error": "bad"})
    wordless = verdicts.of_run_response(500, b"oops", 4)
    assert wordless.result == {"error": texts.invalid_run("oops")}
    assert verdicts.of_init_response(b"no").result == {"error": "The action failed during initialization: no"}
    assert verdicts.of_init_response(b"").result == {"error": "The action failed during initialization."}
