"""Every text the engine answers with, as the real server words it (its ErrorResponse.scala and HTTP layer)."""

from __future__ import annotations

AUTH_MISSING = "The resource requires authentication, which was not supplied with the request"
AUTH_INVALID = "The supplied authentication is invalid"
AUTH_CHALLENGE = 'Basic realm="OpenWhisk secure realm",charset=UTF-8'
WEB_AUTH_FAILED = "Authentication is possible but has failed or not yet been provided."

ROUTE_NOT_FOUND = "The requested resource could not be found."
NOT_FOUND = "The requested resource does not exist."
CONFLICT_EXISTS = "resource already exists"
CONFLICT_COLLECTION = "Resource by this name exists but is not in this collection."

NAME_SEGMENT = "Name segement"  # sic
NAMESPACE_SEGMENT = "Namespace"
NAMESPACE_ILLEGAL = "The namespace contains illegal characters."
NAME_ILLEGAL = "The name of the entity contains illegal characters."

LIMITS_NO_OBJECT = "Object expected"
OBJECT_EXPECTED = "JSON object expected"
PARAMETERS_MALFORMED = "parameters malformed!"
VERSION_MALFORMED = "semantic version malformed"
FQN_MALFORMED = "fully qualified name malformed"
FQN_INCOMPLETE = (
    "requirement failed: The fully qualified name of the entity must contain at least the namespace "
    "and the name of the entity."
)
PATH_UNDEFINED = "requirement failed: path undefined"
ENTITY_NAME_MALFORMED = "entity name malformed"
COMPONENTS_MISSING = "'components' must be defined for sequence kind"
COMPONENTS_NOT_ARRAY = "'components' must be an array"
IMAGE_MALFORMED = "could not parse image name"
IMAGE_MISSING = "'image' must be a string defined in 'exec' for 'blackbox' actions"
KIND_MISSING = "'kind' must be a string defined in 'exec'"

EXEC_UNDEFINED = "exec undefined"
PARAMETERS_NOT_ALLOWED = "Request defines parameters that are not allowed (e.g., reserved properties)."
PACKAGE_NOT_EMPTY = (
    "Package not empty (contains {count} {entities}). Set force param or delete package contents."
)
BINDING_TARGET_MISSING = "Binding references a package that does not exist."
BINDING_NO_PACKAGE = "Cannot bind to a resource that is not a package."
BINDING_OF_BINDING = "Cannot bind to another package binding."
BINDING_NO_ACTIONS = "Operation not permitted on package binding."
PACKAGE_TO_BINDING = "Resource is a package and cannot be converted into a binding."
FEED_INVALID = "Feed name is not valid"

SEQUENCE_EMPTY = "No component specified for the sequence."
SEQUENCE_TOO_LONG = "Too many actions in the sequence."
SEQUENCE_CYCLIC = "Sequence may not refer to itself."
SEQUENCE_COMPONENT_MISSING = "Sequence component does not exist."
COMPOSITION_TOO_LONG = "Too many actions in the composition."
COMPOSITION_FAILED = "Activation failure during composition."

ARGUMENT_UNDEFINED = "requirement failed: argument undefined"
RULE_INCOMPLETE = "rule requires a valid trigger and a valid action"
RULE_TRIGGER_MISSING = "Only rules with existing triggers can be activated"

SIZE_NEGATIVE = "requirement failed: a negative size of an object is not allowed."
INSTANCES_NEGATIVE = "requirement failed: Action container concurrency must be greater than or equal to 0."
TIMEOUT_MALFORMED = "Timeout must be number of milliseconds up to {limit}."
DOCS_WITH_COUNT = "The parameter 'docs' is not permitted with 'count'."
ACTIVATION_ID_ILLEGAL = "The activation id is not valid."
REQUEST_TOO_LARGE = "Request too large"
REQUEST_INCOMPLETE = "The request ended before its body did."
REQUEST_TIMEOUT = "Request Timeout"
HOST_NOT_ONE = "A request must have one `Host` header"
HEAD_TOO_LARGE = "Request Header Fields Too Large"
RUN_LOST = "The action did not produce a valid response and exited unexpectedly."
INTERNAL_ERROR = "There was an internal server error."

WEB_ERROR_PROCESSING = "There was an error processing your request."
WEB_NOT_READY = "Response not yet ready."
WEB_PROPERTY_MISSING = "Response does not include requested property."
WEB_UNKNOWN_TYPE = "Response did not specify a known content-type."
WEB_TYPE_MISMATCH = "Response type in header did not match generated content type."

HEX_EXPECTED = "HEXDIG"
PATH_EXPECTED = "pchar, '/', '?' or 'EOI'"
SEGMENT_EXPECTED = "segment, '/', '?' or 'EOI'"
QUERY_EXPECTED = "rawQueryString or 'EOI'"
QUERY_CHAR_EXPECTED = "query-char, pct-encoded or 'EOI'"
PAIR_EXPECTED = "query or 'EOI'"
PAIRS_EXPECTED = "keyValuePairs or 'EOI'"
KEY_CHAR_EXPECTED = "'+', query-char, pct-encoded, '=', '&' or 'EOI'"
VALUE_EXPECTED = "part, '&' or 'EOI'"
VALUE_CHAR_EXPECTED = "'+', query-char, pct-encoded, '&' or 'EOI'"
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def not_acceptable(offered: str) -> str:
    """406 naming the type there is."""
    return f"Resource representation is only available with these types:\n{offered}"


def illegal_target(found: str | None, expected: str, column: int) -> str:
    """400, as plain text, for a request target; `found` None means its end."""
    return f"Illegal request-target: {_problem(found)}, expected {expected} (line 1, column {column})"


def illegal_query(found: str | None, expected: str, column: int) -> str:
    """Detail for a form with characters that are to be encoded; `found` None means its end."""
    return f"Illegal query: {_problem(found)}, expected {expected} (line 1, column {column})"


def _problem(found: str | None) -> str:
    return "Unexpected end of input" if found is None else f"Invalid input '{_ESCAPES.get(found, found)}'"


def malformed(detail: str) -> str:
    """400 for a body that is not what the route reads."""
    return f"The request content was malformed:\n{detail}"


def query_malformed(name: str, detail: str) -> str:
    """400 for a query parameter of the wrong form."""
    return f"The query parameter '{name}' was malformed:\n{detail}"


def not_boolean(value: str) -> str:
    """Detail for a query parameter that is no boolean."""
    return f"'{value}' is not a valid Boolean value"


def not_integer(value: str, collection: str) -> str:
    """Detail for a list parameter that is no integer."""
    return f"The value '{value}' is not an integer for {collection}."


def limit_out_of_range(value: int, maximum: int, collection: str) -> str:
    """Detail for `limit` beyond a page."""
    return f"The value '{value}' is not in the range of 0 to {maximum} for {collection}."


def skip_negative(value: int, collection: str) -> str:
    """Detail for a negative `skip`."""
    return f"The value '{value}' is not greater than or equal to 0 for {collection}."


def not_epoch(value: str) -> str:
    """Detail for `since` and `upto`."""
    return f"Parameter is not a valid value for epoch seconds: {value}"


def activation_name_malformed(value: str) -> str:
    """Detail for the `name` filter of activations."""
    return f"Parameter may be a 'simple' name or 'package-name/simple' name: {value}"


def activation_id_length(length: int) -> str:
    """400 for an id that is not 32 characters long."""
    return f"Activation id length is {length} but must be 32."


def unsupported_type(content_type: str) -> str:
    """415: only JSON bodies are read."""
    return f"The request's Content-Type [{content_type}] is not supported. Expected:\napplication/json"


def method_not_allowed(methods: str) -> str:
    """405 outside the API."""
    return f"HTTP method not allowed, supported methods: {methods}"


def uri_too_long(limit: int) -> str:
    """414, as plain text."""
    return f"URI length exceeds the configured limit of {limit} characters"


def foreign_origin(origin: str) -> str:
    """403 for a page of another site; the real server lets all in."""
    return f"Requests of pages from '{origin}' are not answered while the key of guest is the public one (serve --allow-origin)."


def foreign_host(host: str) -> str:
    """403 for a name that is not this machine's."""
    return f"Requests to the host '{host}' are not answered while the key of guest is the public one (serve --allow-host)."


def not_authorized(resource: str) -> str:
    """403 naming what was asked for."""
    return f"The supplied authentication is not authorized to access '{resource}'."


def resource_missing(resource: str) -> str:
    """404 of packages, which name themselves."""
    return f"The requested resource '{resource}' does not exist."


def name_too_long(what: str, length: int, limit: int) -> str:
    """400 for a name in a path."""
    return f"{what} longer than allowed: {length} > {limit}."


def path_invalid(parts: list[str]) -> str:
    """Detail for a reference with parts that are no names."""
    return f"requirement failed: path contains invalid parts ArraySeq({', '.join(parts)})"


def package_reserved(name: str) -> str:
    """400 for the package that means no package."""
    return f"Package name '{name}' is reserved."


def collection_routes_missing(collection: str) -> str:
    """400 below /limits."""
    return f"Inner entity level routes for {collection} are not yet implemented."


def request_larger(size: int, limit: int) -> str:
    """413 for the payload of an invocation or a fire."""
    return f"Request larger than allowed: {size} > {limit} bytes."


def field_larger(field: str, size: int, limit: int) -> str:
    """413 for a field of an entity."""
    return f"{field} larger than allowed: {size} > {limit} bytes."


def too_many_requests(count: int, allowed: int) -> str:
    """429 of the per-minute budget."""
    return f"Too many requests in the last minute (count: {count}, allowed: {allowed})."


def too_many_concurrent(count: int, allowed: int) -> str:
    """429 of the concurrency budget."""
    return f"Too many concurrent requests in flight (count: {count}, allowed: {allowed})."


def runtime_unsupported(kind: str, kinds: list[str]) -> str:
    """Detail for an unknown kind."""
    listed = ", ".join(f"'{name}'" for name in kinds)
    return f"The specified runtime '{kind}' is not supported by this platform. Valid values are: {listed}."


def code_missing(kind: str) -> str:
    """Detail for an exec without code."""
    return f"'code' must be a string or attachment object defined in 'exec' for '{kind}' actions"


def code_not_text(code: str) -> str:
    """Detail for code that is neither text nor an attachment."""
    return f"Could not deserialize as attachment record: {code}"


def main_not_string(kind: str) -> str:
    """Detail for a `main` of another type (the grammar is the server's)."""
    return f"if defined, 'main' be a string in 'exec' for '{kind}' actions"


def main_missing(kind: str) -> str:
    """Detail for a kind that needs the name of its class or function."""
    return f"'main' must be a string defined in 'exec' for '{kind}' actions"


def limit_malformed(limit: str) -> str:
    """Detail for a limit that is no number."""
    return f"{limit} limit malformed"


def limit_not_whole(limit: str) -> str:
    """Detail for a limit with a fraction."""
    return f"requirement failed: {limit} limit must be whole number"


def limit_below(what: str, unit: str, value: int, threshold: int) -> str:
    """400 for a limit under its range."""
    return f"requirement failed: {what} {value}{unit} below allowed threshold of {threshold}{unit}"


def limit_above(what: str, unit: str, value: int, threshold: int) -> str:
    """400 for a limit over its range."""
    return f"requirement failed: {what} {value}{unit} exceeds allowed threshold of {threshold}{unit}"


def instances_above(limit: int) -> str:
    """400 for more instances than the namespace may have in flight."""
    return f"Max action instance concurrency must not exceed your namespace concurrency of {limit}."


def rule_entity_missing(kind: str, fqn: str) -> str:
    """400 for a rule of something that is not there."""
    return f"{kind} /{fqn} does not exist"


def rule_inactive(rule: str, action: str) -> str:
    """Line in a trigger's record for a rule that is off."""
    return f"Rule '{rule}' is inactive, action '{action}' was not activated."


def key_not_found(key: str) -> str:
    """Detail for a missing member of a small body."""
    return f"key not found: {key}"


def not_kept(reason: str) -> str:
    """500 or 507 where the database cannot be written."""
    return f"The engine cannot write its state, so nothing was kept: {reason}"


def object_expected(member: str) -> str:
    """Detail for something else where an object must be; `member` is the first that is looked for."""
    return f"Object expected in field '{member}'"


def not_json_boolean(value: str) -> str:
    """Detail for a member that is no boolean."""
    return f"Expected JsBoolean, but got {value}"


def not_json_array(value: str) -> str:
    """Detail for a member that is no list."""
    return f"Expected Array as JsArray, but got {value}"


def not_json_string(value: str) -> str:
    """Detail for an item that is no text."""
    return f"Expected String as JsString, but got {value}"


def rule_state_unknown(state: str) -> str:
    """Detail for a status that rules do not have."""
    return f"requirement failed: {state} is not a recognized rule state"


def no_match(value: str, kind: str) -> str:
    """Detail for a member of another type, as the server's pattern match puts it."""
    return f"{value} (of class spray.json.{kind})"


def member_missing(member: str) -> str:
    """Detail for an object without a required member."""
    return f"Object is missing required member '{member}'"


def invalid_media(media_type: str) -> str:
    """400 for a web action's result that does not fit the extension."""
    return f"Response is not valid '{media_type}'."


def composition_component_missing(name: str) -> str:
    """What a conductor gets to know that names an unknown action."""
    return f"Failed to resolve action with name '{name}' during composition."


def composition_component_forbidden(name: str) -> str:
    """What a conductor gets to know that names an action its caller may not run."""
    return f"Failed entitlement check for action with name '{name}' during composition."


def composition_component_invalid(value: str) -> str:
    """What a conductor gets to know whose `action` is no name."""
    return f"Failed to parse action name from json value {value} during composition."
