"""Every error HoRT raises on purpose; facts are attributes, the message is built here."""

from __future__ import annotations

import re

_SECRET = re.compile(r"(?:^|_)(?:password|secret|key|token)$")
_LOGIN = re.compile(r"(?<=//)[^/?#\s'\"]*@")
_QUERY = re.compile(r"(?<==)[^=&#\s'\"]+")
_LONGEST = 200


def shown(value: object) -> str:
    """A value fit for a message that others read: short, and an address without its login and the values of its query."""
    text = _LOGIN.sub("", repr(value))
    address, question, query = text.partition("?") if "://" in text else (text, "", "")
    text = address + question + _QUERY.sub("***", query)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def without_login(url: str) -> str:
    """An address without what stands before its last @, whether or not it can be parsed: a password may hold any character."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else url.rpartition("@")[2]


class HortError(Exception):
    """Something HoRT recognises went wrong; subclasses say what."""

    code = "hort"


class ConfigError(HortError):
    """A parameter is missing or has a value that cannot be used; a secret's value does not show."""

    code = "config"

    def __init__(self, name: str, value: object, reason: str) -> None:
        if value is not None and _SECRET.search(name):
            value = "***"
        super().__init__(f"parameter '{name}' {reason}" + (f", got {shown(value)}" if value is not None else ""))
        self.name = name
        self.value = value
        self.reason = reason


class BatchError(HortError):
    """A batch or the reference to it cannot be read."""

    code = "batch"


class BatchTooLarge(HortError):
    """What a batch becomes is more than an action may hold at once: it has to be cut."""

    code = "batch"


class StoreUnavailable(HortError):
    """Redis did not answer within the retries allowed; the batch stays in its journal."""

    code = "store"


class SinkUnavailable(HortError):
    """Elasticsearch did not take the documents within the retries allowed; the batch stays in its journal."""

    code = "sink"


class DocumentsPutOff(SinkUnavailable):
    """Elasticsearch answers, but does not take some documents for a reason that may be lifted; others were stored."""


class ModelError(HortError):
    """A model description is not acceptable."""

    code = "model"

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(f"model field '{field}' {reason}" + (f", got {shown(value)}" if value is not None else ""))
        self.field = field
        self.value = value
        self.reason = reason


class ReportError(HortError):
    """A field of a report cannot be used; `status` is the HTTP status of the answer."""

    code = "report"

    def __init__(self, field: str, value: object, reason: str, *, status: int = 422) -> None:
        super().__init__(f"'{field}' {reason}" + (f", got {shown(value)}" if value is not None else ""))
        self.field = field
        self.reason = reason
        self.status = status


class WhiskUnavailable(HortError):
    """OpenWhisk did not carry out what an action asked of it; the same request may succeed later."""

    code = "whisk"


class AddressRefused(HortError):
    """An outgoing URL leads to an address that is not allowed."""

    code = "address"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"URL {url!r} is not allowed: {reason}")
        self.url = url
        self.reason = reason


class GbfsError(HortError):
    """A GBFS document is not what its specification says."""

    code = "gbfs"

    def __init__(self, document: str, field: str, value: object, reason: str) -> None:
        super().__init__(f"GBFS {document}: '{field}' {reason}, got {str(value)[:80]!r}")
        self.document = document
        self.field = field
        self.reason = reason


class SourceUnavailable(HortError):
    """The GBFS source did not answer with a document; the next poll asks again."""

    code = "source"


class PublishFailed(HortError):
    """The broker did not take the messages within the time allowed; they are published again."""

    code = "publish"


class CallFailed(HortError):
    """An HTTP call to an address that somebody else named brought no usable answer."""

    code = "call"

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason


class ModelUnknown(HortError):
    """No model of this name is registered."""

    code = "model"

    def __init__(self, name: str) -> None:
        super().__init__(f"model '{name}' is not registered")
        self.name = name


class RegistryFull(HortError):
    """The registry holds as many models as it may."""

    code = "model"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the registry holds its limit of {limit} models: delete one first")
        self.limit = limit


class RegistryBusy(HortError):
    """A model was changed by others each time this change was tried."""

    code = "model"

    def __init__(self, name: str) -> None:
        super().__init__(f"model '{name}' is being changed by somebody else: try again")
        self.name = name


class FeedRefused(HortError):
    """A feed's life-cycle event cannot be carried out; the message goes to the client."""

    code = "feed"


class Fenced(HortError):
    """Another provider has taken over a registration: what this one still holds must not be journalled."""

    code = "fenced"


class PanesRemoved(HortError):
    """A close removed panes of this batch each time it was about to be added to them; it is delivered again."""

    code = "window"

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"panes of batch {batch_id} were removed each time it was about to be added")
        self.batch_id = batch_id


class OtherCloseWasFirst(HortError):
    """Another close merged the pane that this one was reading: what this one wrote is not needed."""

    code = "close"

    def __init__(self, pane: int) -> None:
        super().__init__(f"another close merged the pane of {pane} first")
        self.pane = pane
