"""The one error of the alarm feeds."""

from __future__ import annotations


class AlarmError(Exception):
    """A request the feed refuses, with the HTTP status the real web action gives."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status

    @property
    def result(self) -> dict[str, object]:
        """The feed action's result: the web action's body, rejected by the feed action."""
        return {"error": {"error": self.message}}
