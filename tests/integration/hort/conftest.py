"""Fixtures for the actions in the tests' own process."""

import pytest


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The actions' own time limits, where a test gives none: a slow disk is not what is tested here."""
    monkeypatch.setattr("hort.publisher.CONNECT_TIMEOUT_S", 60.0)
    monkeypatch.setattr("hort.divvy_action.FETCH_TIMEOUT_S", 60.0)
    monkeypatch.setattr("hort.deadline.TIME_S", 250.0)
    monkeypatch.setattr("hort.close.MAX_RUN_S", 250.0)
