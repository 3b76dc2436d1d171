"""Content types as the real server's HTTP library sorts them: JSON, text with a charset, or binary."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"\s*({_WORD}/{_WORD})\s*((?:;.*)?)\Z", re.DOTALL)
_TEXT_TYPES = frozenset(
    (
        "application/xml",
        "application/atom+xml",
        "application/rss+xml",
        "application/soap+xml",
        "application/xhtml+xml",
        "application/javascript",
        "application/x-www-form-urlencoded",
        "application/x-vrml",
        "application/xml-dtd",
    )
)
OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class MediaType:
    """A content type taken apart; `name` in lower case, `parameters` in order."""

    name: str
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def is_json(self) -> bool:
        """application/json and its relatives."""
        return self.name == "application/json" or self.name.endswith("+json")

    @property
    def is_text(self) -> bool:
        """Whether bodies of this type are characters (JSON apart)."""
        return self.name.startswith("text/") or self.name in _TEXT_TYPES

    @property
    def charset(self) -> str:
        """Declared charset, UTF-8 by default."""
        return dict(self.parameters).get("charset", "UTF-8")

    def canonical(self) -> str:
        """As the server shows it to an action: JSON has no charset, charsets are in capitals."""
        shown = [self.name]
        for name, value in self.parameters:
            if name == "charset" and self.is_json:
                continue
            shown.append(f"{name}={value.upper() if name == 'charset' else value}")
        return "; ".join(shown)

    def for_text(self) -> str:
        """Content-Type of an answer made of characters."""
        return f"{self.name}; charset=UTF-8"


def parse(header: str) -> MediaType | None:
    """Read a Content-Type header; None when it is none."""
    match = _TYPE.match(header)
    if match is None:
        return None
    parameters = []
    for part in match.group(2).split(";")[1:]:
        name, equals, value = part.strip().partition("=")
        if equals:
            parameters.append((name.strip().lower(), value.strip().strip('"')))
    return MediaType(match.group(1).lower(), tuple(parameters))
