"""Whose fault a refusal is: errors as Elasticsearch 8.19 words them."""

import pytest

from hort.bulk_errors import is_documents_own, is_one_lines

OWN = [
    ("document_parsing_exception", "[1:6] failed to parse field [a] of type [long] in document with id '0'. Preview of field's value: 'x'"),
    ("document_parsing_exception", "[1:6] object mapping for [o] tried to parse field [o] as object, but found a concrete value"),
    ("document_parsing_exception", "[1:15] The number of nested documents has exceeded the allowed limit of [1]."),
    ("mapper_parsing_exception", "failed to parse field [a] of type [long] in document with id '0'"),
    ("strict_dynamic_mapping_exception", "[1:6] mapping set to strict, dynamic introduction of [a] within [_doc] is not allowed"),
    ("illegal_argument_exception", "mapper [data.x] cannot be changed from type [long] to [ObjectMapper]"),
    ("illegal_argument_exception", 'Document contains at least one immense term in field="kw" (whose UTF8 encoding is longer ...)'),
]
NOT_OWN = [
    ("validation_exception", "Validation Failed: 1: this action would add [2] shards, but this cluster currently has [21]/[1]"),
    ("illegal_argument_exception", "no write index is defined for alias [all-events]. The write index may be explicitly disabled"),
    ("illegal_argument_exception", "pipeline with id [nope] does not exist"),
    ("illegal_argument_exception", "Limit of total fields [1000] has been exceeded"),
    ("document_parsing_exception", "[1:18] failed to parse: Limit of total fields [3] has been exceeded while adding new fields [3]"),
    ("mapper_parsing_exception", "Failed to parse mapping: analyzer [x] has not been configured in mappings"),
    ("routing_missing_exception", "routing is required for [k12]/[0]"),
    ("invalid_index_name_exception", "Invalid index name [K], must be lowercase"),
    ("index_closed_exception", "closed"),
    ("cluster_block_exception", "index [k5] blocked by: [FORBIDDEN/8/index write (api)];"),
    ("", ""),
]


@pytest.mark.parametrize(("kind", "reason"), OWN)
def test_own_fault(kind: str, reason: str) -> None:
    assert is_documents_own(400, kind, reason)
    assert not is_documents_own(429, kind, reason)


@pytest.mark.parametrize(("kind", "reason"), NOT_OWN)
def test_what_may_be_lifted(kind: str, reason: str) -> None:
    assert not is_documents_own(400, kind, reason)


@pytest.mark.parametrize("status", [400, 403, 404, 407, 413, 429, 500, 503])
def test_nothing_that_a_proxy_says_of_a_whole_request_is_held_against_a_document(status: int) -> None:
    assert not is_documents_own(status, "<html>Bad Request</html>", "")
    assert is_one_lines(status, "<html>Bad Request</html>") == (status == 413)
