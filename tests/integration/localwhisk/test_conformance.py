"""The recordings of the real server, replayed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from localwhisk.conformance.__main__ import main

Shared = Callable[[str], Path]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["main", "extra", "logstore"])
def test_every_exchange_matches_but_for_the_listed_deviations(
    shared: Shared, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([str(shared(f"reference/golden/{name}.jsonl"))])
    output = capsys.readouterr().out
    assert status == 0, output


@pytest.mark.slow
def test_budgets_of_a_stock_installation(shared: Shared, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(shared("reference/golden/throttle.jsonl"))]) == 0, capsys.readouterr().out
