import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from localwhisk.runtimes import texts
from localwhisk.runtimes.logs import LogCollector, timestamp

LINE = re.compile(r"(?s)^.{30} (stdout|stderr): (.*)$")


def parts(lines: list[str]) -> list[tuple[str, str]]:
    matches = [LINE.match(line) for line in lines]
    return [(match[1], match[2]) for match in matches if match]


def test_time_has_no_trailing_zeros_and_is_padded_to_thirty() -> None:
    assert timestamp(1_795_488_230_279_488_090) == "2026-11-24T02:43:50.27948809Z"
    assert timestamp(1_795_488_230_000_000_000) == "2026-11-24T02:43:50Z"
    logs = LogCollector(1)
    logs.feed("stdout", b"x\n")
    assert len(logs.finish(failed=False)[0].split(" stdout: ")[0]) == 30


def test_lines_of_both_streams_and_the_empty_one() -> None:
    logs = LogCollector(1)
    logs.feed("stderr", b"two\n")
    logs.feed("stdout", "one\n\ncaf\u00e9\n".encode())
    assert parts(logs.finish(failed=False)) == [
        ("stderr", "two"),
        ("stdout", "one"),
        ("stdout", ""),
        ("stdout", "café"),
    ]


def test_a_last_line_without_newline_is_kept() -> None:
    logs = LogCollector(1)
    logs.feed("stdout", b"no newline")
    assert parts(logs.finish(failed=False)) == [("stdout", "no newline")]


def test_a_failure_is_noted_last() -> None:
    logs = LogCollector(1)
    logs.feed("stdout", b"bye\n")
    assert parts(logs.finish(failed=True)) == [("stdout", "bye"), ("stderr", texts.LOGS_MIGHT_MISS)]


def test_a_limit_of_zero_collects_nothing() -> None:
    logs = LogCollector(0)
    logs.feed("stdout", b"x\n")
    assert logs.finish(failed=True) == []


def test_beyond_the_limit_lines_are_counted_as_dockers_log_entries() -> None:
    logs = LogCollector(1)
    for number in range(1500):
        logs.feed("stdout", b"%07d " % number + b"x" * 1000 + b"\n")
    lines = parts(logs.finish(failed=False))
    assert lines[-1] == ("stderr", texts.logs_truncated(1_048_576))
    assert len(lines) == 971 + 1


def test_a_long_line_comes_in_entries_of_sixteen_kilobytes() -> None:
    logs = LogCollector(1)
    logs.feed("stdout", b"a" * 40_000 + b"\n")
    assert [len(text) for _, text in parts(logs.finish(failed=False))] == [
        16_384,
        16_384,
        40_000 - 2 * 16_384,
    ]


def test_endless_output_without_newline_stays_within_the_limit() -> None:
    logs = LogCollector(1)
    for _ in range(100):
        logs.feed("stdout", b"z" * 65_536)
    assert sum(map(len, logs.finish(failed=False))) < 1_100_000


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_how_output_is_cut_into_reads_does_not_matter(output: bytes, cuts: list[int]) -> None:
    whole, pieces = LogCollector(1), LogCollector(1)
    whole.feed("stdout", output)
    edges = [0, *sorted(cuts), len(output)]
    for begin, end in itertools.pairwise(edges):
        pieces.feed("stdout", output[begin:end])
    assert parts(whole.finish(failed=False)) == parts(pieces.finish(failed=False))
