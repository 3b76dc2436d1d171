"""Every refusal of the plates action: a stable code, the field it is about, and the reason."""

from __future__ import annotations

from typing import Any

CODES = {
    "no-image": "neither url nor image is given",
    "both-given": "url and image are given",
    "bad-parameter": "a parameter has a value that cannot be used",
    "bad-n": "n is not an integer from 1 to 50",
    "unknown-country": "OpenALPR is not trained for this country",
    "unknown-region": "no country asked for has plate patterns of this region",
    "not-base64": "image is not base64",
    "not-an-image": "the bytes are no image",
    "unsupported-kind": "the image is neither JPEG, PNG nor WebP",
    "broken-image": "the image is damaged",
    "truncated": "the image ends too early",
    "too-many-pixels": "the image is too large once decoded",
    "too-few-pixels": "the image is too small to hold a plate",
    "too-many-bytes": "the image has too many bytes",
    "download-refused": "the URL leads to an address that is not allowed",
    "download-failed": "the URL did not bring an image",
    "download-too-slow": "the URL did not answer in time",
    "download-too-large": "the URL brings too many bytes",
    "too-slow": "the time allowed passed",
    "recognition-failed": "the reader ended while it was at this image",
    "busy": "too many photos wait",
}
"""What each code stands for; part of the contract, so codes are never renamed."""


class Refused(Exception):
    """A request that cannot be answered with plates.

    Args:
        code: one of CODES.
        field: the parameter it is about.
        reason: for people, with the value where that helps.
    """

    def __init__(self, code: str, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.code = code
        self.field = field
        self.reason = reason

    def __reduce__(self) -> tuple[type[Refused], tuple[str, str, str]]:
        return Refused, (self.code, self.field, self.reason)

    def as_json(self) -> dict[str, Any]:
        """The value of `error` in the answer."""
        return {"code": self.code, "field": self.field, "reason": self.reason, "message": f"{self.field}: {self.reason}"}
