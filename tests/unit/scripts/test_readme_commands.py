"""No command of the README is without a test that runs it, or a reason why none does."""

import re

from tests.acceptance.test_readme import RUN
from tests.support.paths import ROOT
from tests.support.readme import ELSEWHERE, commands

TEST = re.compile(r"(tests/\S+\.py)(?:::(\w+))?")


def _longest(command: str) -> str:
    """The entry of the tables that a command belongs to."""
    found = [start for start in (*RUN, *ELSEWHERE) if command.startswith(start)]
    return max(found, key=len, default="")


def test_every_command_runs_somewhere() -> None:
    unknown = [command for command in commands() if not _longest(command)]
    assert unknown == [], "give it a step in tests/acceptance/test_readme.py, or a line in tests/support/readme.py"


def test_no_entry_is_left_of_a_command_that_is_gone() -> None:
    assert {_longest(command) for command in commands()} == {*RUN, *ELSEWHERE}


def test_the_tests_that_are_named_exist() -> None:
    for reason in ELSEWHERE.values():
        for path, name in TEST.findall(reason):
            assert f"def {name}" in (ROOT / path).read_text(), reason
