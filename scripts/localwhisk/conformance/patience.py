"""What a busy machine does to an exchange and a wrong server does not: such an exchange is asked again, a few times.

A record that the recording found is not there yet; or a time limit of a second is used up by what the machine does besides. A server
that answers wrongly does so each time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from localwhisk.conformance.compare import Answer
from localwhisk.conformance.recording import Sent

_RECORD_PAUSES_S = (0.3,) * 100
_LIMIT_PAUSES_S = (0.3, 0.6, 1.2, 2.4, 4.8, 5.0, 5.0, 5.0, 5.0, 5.0)
_OK, _NOT_FOUND = 200, 404
_LIMIT = re.compile(r"exceeded its time limits of \d+ milliseconds(?: during initialization)?")


def patiently(
    ask: Callable[[], Answer], sent: Sent, wanted: Mapping[str, Any], *, sleep: Callable[[float], None]
) -> Answer:
    """The answer, asked for again while it is one that a busy machine gives."""
    answer, left = ask(), {early: iter(_RECORD_PAUSES_S), hurried: iter(_LIMIT_PAUSES_S)}
    while (why := next((one for one in left if one(sent, wanted, answer)), None)) and (pause := next(left[why], None)):
        sleep(pause)
        answer = ask()
    return answer


def early(sent: Sent, wanted: Mapping[str, Any], answer: Answer) -> bool:
    """Whether an activation has no record yet."""
    reads = sent.method == "GET" and "/activations/" in sent.target
    return reads and (wanted["status"], answer.status) == (_OK, _NOT_FOUND)


def hurried(_sent: Sent, wanted: Mapping[str, Any], answer: Answer) -> bool:
    """Whether a time limit ended what the recording shows to its end, or ended it at another step."""
    found = set(_LIMIT.findall(answer.body.decode("utf-8", "replace")))
    return bool(found) and found != set(_LIMIT.findall(json.dumps(wanted.get("body"))))
