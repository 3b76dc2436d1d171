"""Content types as the real server's HTTP library sorts them: JSON, text with a charset, or binary."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"\s*({_WORD}/{_WORD})\s*((?:;.*)?)\Z", re.DOTALL)
_TEXT = (
    "asp cache-manifest calendar css csv event-stream html markdown mcf plain richtext tab-separated-values uri-list "
    "vnd.wap.wml vnd.wap.wmlscript x-asm x-c x-component x-h x-java-source x-pascal x-script x-scriptcsh x-scriptelisp "
    "x-scriptksh x-scriptlisp x-scriptperl x-scriptperl-module x-scriptphyton x-scriptrexx x-scriptscheme x-scriptsh "
    "x-scripttcl x-scripttcsh x-scriptzsh x-server-parsed-html x-setext x-sgml x-speech x-uuencode x-vcalendar x-vcard xml"
)
_APPLICATION_TEXT = (
    "atom+xml base64 javascript problem+xml rss+xml soap+xml vnd.google-earth.kml+xml x-latex x-vrml "
    "x-www-form-urlencoded xhtml+xml xml xml-dtd"
)
_TEXT_TYPES = frozenset(
    [f"text/{name}" for name in _TEXT.split()] + [f"application/{name}" for name in _APPLICATION_TEXT.split()]
)
"""What the server knows to be characters; any other type is binary, unless it names a charset."""
_JSON_TYPES = frozenset(
    f"application/{name}" for name in ("json", "json-patch+json", "merge-patch+json", "problem+json", "vnd.api+json")
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
    def is_known_json(self) -> bool:
        """Whether the server knows it for JSON, so that it may be written as text."""
        return self.name in _JSON_TYPES

    @property
    def is_text(self) -> bool:
        """Whether bodies of this type are characters (JSON apart)."""
        return self.name in _TEXT_TYPES or (not self.is_known_json and "charset" in dict(self.parameters))

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
