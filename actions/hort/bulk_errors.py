"""Whose fault it is that Elasticsearch does not store a document: its own, or something that may be lifted.

Only what is listed here is a document's own fault. Whatever else there is (shard limit, no write index behind an alias,
block, full disk, closed index, field limit, missing right, an answer of a proxy) keeps the batch until it is lifted.
"""

from __future__ import annotations

import re

BAD = 400
TOO_LARGE = 413

_DOCUMENT_KINDS = frozenset({"document_parsing_exception", "mapper_parsing_exception", "strict_dynamic_mapping_exception"})
"""`mapper_parsing_exception` is what Elasticsearch before 8.8 called the first one."""
_DOCUMENT_REASONS = re.compile(r"mapper \[|object mapping (for )?\[|Document contains at least one immense term|.*can't merge a")
"""How an `illegal_argument_exception` begins that tells of one document's values; most of that type tell of an index or alias."""
_INDEX_REASONS = re.compile(r"Limit of (total fields|mapping depth)|[Ff]ailed to parse mapping|Root mapping definition")
"""What a parsing error says where the mapping is full or wrong, and so any document may be refused."""
_BODY_KINDS = frozenset({"action_request_validation_exception", "illegal_argument_exception", "x_content_parse_exception"})
"""Errors of a whole bulk request that one of its lines brings about."""


def is_documents_own(status: int, kind: str, reason: str) -> bool:
    """Tell whether the same document would be refused for ever, whatever is done to the cluster."""
    if status != BAD or _INDEX_REASONS.search(reason):
        return False
    return kind in _DOCUMENT_KINDS or (kind == "illegal_argument_exception" and bool(_DOCUMENT_REASONS.match(reason)))


def is_one_lines(status: int, kind: str) -> bool:
    """Tell whether a part of a request that was refused as a whole may be taken."""
    return status == TOO_LARGE or (status == BAD and kind in _BODY_KINDS)
